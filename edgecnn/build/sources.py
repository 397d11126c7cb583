"""Where the images of a build come from: class folders, rendered shapes, and what a user's path leads to."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgecnn import shapes
from edgecnn.build.arrays import Idx
from edgecnn.build.cache import Cache
from edgecnn.build.data import (
    Dataset,
    Item,
    Loaded,
    Source,
    by_split,
    content_digest,
    file_digests,
    of_items,
    read_item,
)
from edgecnn.build.npz import Npz
from edgecnn.build.photographs import Photographs
from edgecnn.build.pixels import decoded
from edgecnn.build.published import LABELS, Published
from edgecnn.build.tfrecord import TFRecord
from edgecnn.images import SplitRule, beside_classes, class_folders
from edgecnn.preprocess import InputSpec, Pixels
from edgecnn.progress import SILENT, Progress

_SHOWN = 3  # of the files beside the classes; `edgecnn data` has all


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder with one folder a class, or with such folders in ``train``, ``test`` and perhaps ``val``.

    Any image format that OpenCV reads. Where the user gave splits, the test split is that of the folder, and what is
    missing is taken from ``train``, whose copies of held-out images are left out.

    Attributes:
        path: the folder; the names of its folders, sorted, are the classes.
        rule: the shares of the splits.
    """

    path: str
    rule: SplitRule = SplitRule()

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        return self.rule.problems()

    def open(self, spec: InputSpec, progress: Progress = SILENT) -> Dataset:
        """See `Source`. A file that is no image is left out, and listed.

        Raises:
            DataError: no folder of class folders.
        """
        labels, files = class_folders(Path(self.path))
        digests = file_digests([file.path for file in files], progress)
        # By content, not by name: the order decides the training, and the key knows the content alone.
        items = sorted(
            (
                Item(name=str(file.path), label=file.label, digest=digest, given=file.given)
                for file, digest in zip(files, digests, strict=True)
            ),
            key=lambda item: (item.label, item.digest),
        )
        content = [(labels[item.label], item.digest, *([item.given] if item.given else [])) for item in items]

        def read(index: int) -> Pixels:
            return read_item(items[index])

        beside = beside_classes(Path(self.path), files)
        remarks = (f"{_listed(beside)} beside the class folders, where no build looks",) if beside else ()
        return of_items(labels, items, read, content=content, rule=self.rule, spec=spec, remarks=remarks)


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """Rendered pictures of shapes, and of nothing, on cluttered backgrounds; see `edgecnn.shapes`.

    Attributes:
        images_per_class: how many of each.
        seed: decides every picture.
        rule: the shares of the splits.
    """

    images_per_class: int
    seed: int = 0
    rule: SplitRule = SplitRule()

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        problems = self.rule.problems()
        if self.images_per_class < 1:
            problems.append(f"Shapes renders at least 1 image a class, not {self.images_per_class}")
        return problems

    def open(self, spec: InputSpec, progress: Progress = SILENT) -> Dataset:
        """See `Source`."""
        classes = len(shapes.CLASSES)

        renderer = hashlib.sha256(Path(shapes.__file__).read_bytes()).hexdigest()
        content = [renderer, self.images_per_class, self.seed]

        def render(index: int) -> Pixels:
            random = np.random.default_rng((self.seed, index))
            return shapes.render(index % classes, random, (spec.height, spec.width))

        def load(progress: Progress, cache: Cache) -> Loaded:
            count = classes * self.images_per_class
            pixels, _ = decoded(content, count, render, spec, note="drawing shapes", progress=progress, cache=cache)
            items = [
                Item(name=f"shape {index}", label=index % classes, digest=hashlib.sha256(image.tobytes()).hexdigest())
                for index, image in enumerate(pixels)
            ]
            return Loaded(splits=by_split(items, pixels, self.rule))

        digest = content_digest(self.rule, content)
        return Dataset(labels=shapes.CLASSES, digest=digest, rule=self.rule, _load=load, owned=False)


def _listed(paths: Sequence[Path]) -> str:
    shown = ", ".join(path.name for path in paths[:_SHOWN])
    return shown + (
        f" and {len(paths) - _SHOWN:,} more files are" if len(paths) > _SHOWN else " is" if len(paths) == 1 else " are"
    )


def at(path: Path, instead_of: Source) -> Source:
    """What is at a path: a ``.npz`` file, IDX or TFRecord files, or else class folders; photographs for `Photographs`.

    Args:
        path: of the file or the folder.
        instead_of: the recipe's own; its split rule stays, and where it is `Published` its labels do for arrays.
    """
    if isinstance(instead_of, Photographs):
        return replace(instead_of, path=str(path))
    rule = instead_of.rule
    labels = LABELS[instead_of.name] if isinstance(instead_of, Published) else ()
    if path.suffix == ".npz":
        return Npz(path=str(path), labels=labels, rule=rule)
    if any(path.glob("*-idx*-ubyte*")):
        return Idx(path=str(path), labels=labels, rule=rule)
    if any(path.glob("*.tfrecord*")):
        return TFRecord(path=str(path), rule=rule)
    return Folder(path=str(path), rule=rule)
