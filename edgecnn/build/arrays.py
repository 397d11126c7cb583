"""Data sets that come as arrays, and the IDX files of MNIST."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecnn.build.data import Dataset, Item, of_items
from edgecnn.errors import DataError
from edgecnn.images import Split, SplitRule
from edgecnn.preprocess import InputSpec, Pixels
from edgecnn.progress import SILENT, Progress

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

    def open(self, spec: InputSpec, progress: Progress = SILENT) -> Dataset:
        """See `edgecnn.build.data.Source`.

        Raises:
            DataError: a file is missing or damaged.
        """
        arrays = {split: _read_pair(Path(self.path), name) for split, name in _PARTS}
        classes = 1 + max(int(truth.max(initial=0)) for _, truth in arrays.values())
        labels = self.labels or tuple(str(number) for number in range(classes))
        if classes > len(labels):
            raise _damaged(Path(self.path), f"labels up to {classes - 1}", f"labels of {len(labels)} classes")
        return of_arrays(labels, arrays, self.rule, spec)


def of_arrays(
    labels: tuple[str, ...], arrays: Mapping[Split, tuple[Pixels, NDArray[Any]]], rule: SplitRule, spec: InputSpec
) -> Dataset:
    """The data set of images in memory: of each split (n, height, width[, 1 or 3]) uint8, and classes (n,)."""
    pixels = [image for images, _ in arrays.values() for image in images]
    items = [
        Item(name=f"{split} image {index}", label=int(label), digest=_digest(image), given=split)
        for split, (images, truth) in arrays.items()
        for index, (image, label) in enumerate(zip(images, truth, strict=True))
    ]

    def read(index: int) -> Pixels:
        image = pixels[index]
        return image if image.shape[2:] == (3,) else cast(Pixels, cv2.cvtColor(image, cv2.COLOR_GRAY2RGB))

    content = [labels, [(item.label, item.digest, item.given) for item in items]]
    return of_items(labels, items, read, content=content, rule=rule, spec=spec)


def _digest(image: Pixels) -> str:
    return hashlib.sha256(image.tobytes()).hexdigest()


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
