"""Data sets that come as arrays: IDX files on disk, and the ones that everybody compares on."""

import gzip
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecnn.build.data import Dataset, Folder, Loaded, Source, content_digest, in_parallel, split_images
from edgecnn.build.photographs import Photographs
from edgecnn.errors import DataError
from edgecnn.images import Split, SplitRule
from edgecnn.preprocess import InputSpec, Pixels
from edgecnn.progress import Progress
from edgecnn.silence import silenced

LABELS = {
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    "fashion_mnist": (
        ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
    ),
}
_PACKAGED = {"fashion_mnist": Path("/usr/share/datasets/fashion-mnist")}  # Debian: dataset-fashion-mnist
_PARTS: tuple[tuple[Split, str], ...] = (("train", "train"), ("test", "t10k"))


@dataclass(frozen=True, kw_only=True)
class Idx:
    """A folder of IDX files as MNIST has them: ``train`` and ``t10k``, images and labels, gzipped or not.

    The format is that of http://yann.lecun.com/exdb/mnist. Grey images are shown to the network as RGB, for that is
    what a camera gives.

    Attributes:
        path: the folder.
        labels: one name a class; empty for numbers.
        rule: the shares of validation and calibration, which are taken from ``train``.
    """

    path: str
    labels: tuple[str, ...] = ()
    rule: SplitRule = SplitRule()

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        return self.rule.problems()

    def open(self, spec: InputSpec) -> Dataset:
        """See `edgecnn.build.data.Source`.

        Raises:
            DataError: a file is missing or damaged.
        """
        arrays = {split: _read_pair(Path(self.path), name) for split, name in _PARTS}
        classes = 1 + max(int(truth.max(initial=0)) for _, truth in arrays.values())
        labels = self.labels or tuple(str(number) for number in range(classes))
        if classes > len(labels):
            raise _damaged(Path(self.path), f"labels up to {classes - 1}", f"labels of {len(labels)} classes")
        return _of_arrays(labels, arrays, self.rule, spec)


@dataclass(frozen=True, kw_only=True)
class Published:
    """A data set by name: ``tf_keras.datasets``, or what a Debian package has put on disk.

    Attributes:
        name: ``cifar10`` or ``fashion_mnist``.
        rule: the shares of validation and calibration, which are taken from the published training images.
    """

    name: str
    rule: SplitRule = SplitRule()

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        problems = self.rule.problems()
        if self.name not in LABELS:
            problems.append(f"a published data set is one of {', '.join(LABELS)}, not {self.name!r}")
        return problems

    def open(self, spec: InputSpec) -> Dataset:
        """See `edgecnn.build.data.Source`.

        Raises:
            DataError: it is not on disk and cannot be downloaded.
        """
        labels, packaged = LABELS[self.name], _PACKAGED.get(self.name)
        if packaged and packaged.is_dir():
            return Idx(path=str(packaged), labels=labels, rule=self.rule).open(spec)
        from edgecnn.build.keras import keras

        try:
            with silenced():
                train, test = getattr(keras.datasets, self.name).load_data()
        except Exception as error:  # whatever the network, the disk and the unpacking may raise
            raise DataError(
                f"The data set {self.name} is not on disk and cannot be downloaded.",
                received=str(error).strip().splitlines()[0],
                accepted="a connection, or a folder with the images",
                remedy="pass --data DIR: a folder with train/ and test/, or IDX files",
            ) from error
        arrays: dict[Split, Any] = {"train": train, "test": test}
        return _of_arrays(labels, {split: (x, y.ravel()) for split, (x, y) in arrays.items()}, self.rule, spec)


def at(path: Path, instead_of: Source) -> Source:
    """The user's own folder in place of a recipe's data: IDX files, with the recipe's labels, or class folders.

    Where a recipe asks for photographs without labels, the folder is one of those.
    """
    if isinstance(instead_of, Photographs):
        return replace(instead_of, path=str(path))
    if any(path.glob("*-idx*-ubyte*")):
        labels = LABELS[instead_of.name] if isinstance(instead_of, Published) else ()
        return Idx(path=str(path), labels=labels, rule=instead_of.rule)
    return Folder(path=str(path), rule=instead_of.rule)


def _of_arrays(
    labels: tuple[str, ...], arrays: dict[Split, tuple[Pixels, NDArray[Any]]], rule: SplitRule, spec: InputSpec
) -> Dataset:
    rule = rule.beside(tuple(arrays))
    pixels = [image for images, _ in arrays.values() for image in images]
    truth = [int(label) for _, labels_of_split in arrays.values() for label in labels_of_split]
    given = [split for split, (images, _) in arrays.items() for _ in range(len(images))]
    digests = [hashlib.sha256(image.tobytes()).hexdigest() for image in pixels]
    tested = {digest for digest, split in zip(digests, given, strict=True) if split == "test"}
    kept = [i for i, digest in enumerate(digests) if given[i] == "test" or digest not in tested]

    def load(progress: Progress) -> Loaded:
        def apply(place: int) -> Pixels:
            image = pixels[kept[place]]
            return spec.apply(image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2RGB))

        def of_kept(values: Sequence[Any]) -> list[Any]:
            return [values[i] for i in kept]

        if len(kept) < len(pixels):
            progress.say(f"{len(pixels) - len(kept)} training images are left out: copies of them are in test")
        images = list(in_parallel(apply, len(kept), progress, "reading images"))
        return Loaded(splits=split_images(images, of_kept(truth), of_kept(digests), rule, spec, of_kept(given)))

    content = [labels, list(zip(truth, digests, given, strict=True))]
    return Dataset(labels=labels, digest=content_digest(rule, content), rule=rule, _load=load)


def _read_pair(folder: Path, name: str) -> tuple[Pixels, NDArray[Any]]:
    images, labels = (_read_idx(folder, f"{name}-{kind}") for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"))
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise _damaged(folder, f"{images.shape} images and {labels.shape} labels", "as many labels as images")
    return images, labels


def _read_idx(folder: Path, name: str) -> NDArray[Any]:
    path = next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)
    if path is None:
        raise _damaged(folder, f"no {name} and no {name}.gz", "the four files of MNIST")
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise _damaged(path, str(error), "a whole file") from error
    rank = data[3] if data[:3] == b"\0\0\x08" and len(data) > 3 else 0  # 0x08: unsigned bytes
    shape = tuple(int(size) for size in np.frombuffer(data, ">u4", rank, 4)) if len(data) >= 4 + 4 * rank else ()
    content = np.frombuffer(data, np.uint8, offset=min(len(data), 4 + 4 * rank))
    if not shape or content.size != np.prod(shape):
        raise _damaged(path, f"{len(data)} bytes", "a whole IDX file of unsigned bytes")
    return content.reshape(shape)


def _damaged(path: Path, received: str, accepted: str) -> DataError:
    return DataError(
        f"The IDX data in {path} cannot be used.", received=received, accepted=accepted, remedy="fetch the files again"
    )
