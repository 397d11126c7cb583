"""Where the images of a build come from, and how they are split."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgecnn import shapes
from edgecnn.images import (
    SPLITS,
    ImageFile,
    Split,
    SplitRule,
    UnreadableImage,
    class_folders,
    read_image,
    split_digest,
)
from edgecnn.latency import available_cores
from edgecnn.preprocess import InputSpec, Pixels
from edgecnn.progress import Progress
from edgecnn.splits import check_splits


@dataclass(frozen=True, kw_only=True)
class Images:
    """Images of one split, at the network's size.

    Attributes:
        pixels: (n, height, width, channels), uint8.
        labels: (n,), int64, indices of classes; all of them `edgecnn.evaluation.UNKNOWN` where nobody has said them.
        digests: SHA-256 of each image's content.
    """

    pixels: Pixels
    labels: NDArray[np.int64]
    digests: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def sample(self, count: int) -> "Images":
        """So many of them, spread over all, for they are sorted by class."""
        chosen = np.unique(np.linspace(0, len(self) - 1, min(count, len(self))).astype(int))
        digests = tuple(self.digests[index] for index in chosen)
        return Images(pixels=self.pixels[chosen], labels=self.labels[chosen], digests=digests)


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """All splits, and the files that are in none, each with the reason."""

    splits: Mapping[Split, Images]
    left_out: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Images that are known by their digest, and decoded or rendered once `load` is called.

    Attributes:
        labels: the names of the classes, in the order of their indices.
        digest: hash of everything that `load` depends on.
        rule: the shares of the splits.
        labelled: whether it is known which image is of which class: else there is nothing to train on.
    """

    labels: tuple[str, ...]
    digest: str
    rule: SplitRule
    _load: Callable[[Progress], Loaded]
    labelled: bool = True
    _loaded: list[Loaded] = field(default_factory=list, compare=False)

    def load(self, progress: Progress) -> Loaded:
        """Decode or render everything, the first time it is called.

        Raises:
            DataError: a class has no image in some split; the message says how many it takes.
        """
        if not self._loaded:
            loaded = self._load(progress)
            if self.labelled:
                self._check(loaded)
            self._loaded.append(loaded)
        return self._loaded[0]

    def __getitem__(self, split: Split) -> Images:
        """The images of one split, once loaded."""
        return self._loaded[0].splits[split]

    def _check(self, loaded: Loaded) -> None:
        counts = {split: Counter(images.labels.tolist()) for split, images in loaded.splits.items()}
        check_splits(self.labels, counts, self.rule, more=_listed(loaded.left_out))


class Source(Protocol):
    """Where images come from: a frozen dataclass of settings."""

    @property
    def rule(self) -> SplitRule:
        """The shares of the splits."""

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""

    def open(self, spec: InputSpec) -> Dataset:
        """The data set at the network's size: named and digested, not decoded yet."""


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

    def open(self, spec: InputSpec) -> Dataset:
        """See `Source`. A file that is no image is left out, and listed.

        Raises:
            DataError: no folder of class folders.
        """
        labels, files = class_folders(Path(self.path))
        with ThreadPoolExecutor(available_cores()) as pool:
            found = zip(pool.map(_file_digest, files), files, strict=True)
        # By content, not by name: the order decides the training, and the key knows the content alone.
        digests, files = zip(*sorted(found, key=lambda each: (each[1].label, each[0])), strict=True)
        given = tuple(file.given for file in files)
        rule = self.rule.beside(given)
        content = [
            (labels[file.label], digest, *([file.given] if file.given else []))
            for file, digest in zip(files, digests, strict=True)
        ]

        def read(index: int) -> tuple[Pixels | None, str, str]:
            try:
                frame, digest = read_image(files[index].path)
            except UnreadableImage as error:
                return None, digests[index], str(error)
            return spec.apply(frame), digest, ""

        def load(progress: Progress) -> Loaded:
            owner = {  # of copies the one furthest from training stays
                digest: file.given
                for split in ("train", "validation", "test")
                for digest, file in zip(digests, files, strict=True)
                if file.given == split
            }
            images, truth, kept, fixed, left_out = [], [], [], [], []
            for file, (pixels, digest, reason) in zip(
                files, in_parallel(read, len(files), progress, "reading images"), strict=True
            ):
                if pixels is not None and file.given != owner.get(digest):
                    pixels, reason = None, f"a copy of it is in {owner[digest]}"
                if pixels is None:
                    left_out.append((str(file.path), reason))
                    continue
                images.append(pixels)
                truth.append(file.label)
                kept.append(digest)
                fixed.append(file.given)
            left_out.sort()
            if left_out:
                progress.say(f"{len(left_out)} files are left out:{_listed(left_out)}")
            splits = split_images(images, truth, kept, rule, spec, fixed)
            return Loaded(splits=splits, left_out=tuple(left_out))

        return Dataset(labels=labels, digest=content_digest(rule, content), rule=rule, _load=load)


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

    def open(self, spec: InputSpec) -> Dataset:
        """See `Source`."""
        classes = len(shapes.CLASSES)

        def render(index: int) -> Pixels:
            random = np.random.default_rng((self.seed, index))
            return spec.apply(shapes.render(index % classes, random, (spec.height, spec.width)))

        def load(progress: Progress) -> Loaded:
            count = classes * self.images_per_class
            images = list(in_parallel(render, count, progress, "drawing shapes"))
            digests = [hashlib.sha256(image.tobytes()).hexdigest() for image in images]
            truth = [index % classes for index in range(count)]
            return Loaded(splits=split_images(images, truth, digests, self.rule, spec))

        renderer = hashlib.sha256(Path(shapes.__file__).read_bytes()).hexdigest()
        digest = content_digest(self.rule, [renderer, self.images_per_class, self.seed])
        return Dataset(labels=shapes.CLASSES, digest=digest, rule=self.rule, _load=load)


def split_facts(splits: Mapping[Split, Images], rule: SplitRule) -> dict[str, Any]:
    """The rule and one digest a split, for the manifest."""
    return {"rule": rule.as_json(), "digests": {split: split_digest(splits[split].digests) for split in SPLITS}}


def _file_digest(file: ImageFile) -> str:
    """SHA-256 of a file; nothing for one that cannot be read, which `read_image` will refuse, too."""
    try:
        return hashlib.sha256(file.path.read_bytes()).hexdigest()
    except OSError:
        return ""


def content_digest(rule: SplitRule, content: object) -> str:
    """One digest for a data set: its rule, and JSON of all that decides its images."""
    return hashlib.sha256(json.dumps([rule.as_json(), content]).encode()).hexdigest()


def split_images(
    images: Sequence[Pixels],
    labels: Sequence[int],
    digests: Sequence[str],
    rule: SplitRule,
    spec: InputSpec,
    given: Sequence[Split | None] | None = None,
) -> dict[Split, Images]:
    """Images, each with its class, its digest and perhaps the split that was given for it, by split."""
    members: dict[Split, list[int]] = {split: [] for split in SPLITS}
    for index, (digest, split) in enumerate(zip(digests, given or [None] * len(digests), strict=True)):
        members[rule.split_of(digest, split)].append(index)
    return {
        split: Images(
            pixels=np.stack([images[i] for i in chosen]) if chosen else np.empty((0, *spec.shape), np.uint8),
            labels=np.array([labels[i] for i in chosen], np.int64),
            digests=tuple(digests[i] for i in chosen),
        )
        for split, chosen in members.items()
    }


def in_parallel(work: Callable[[int], Any], count: int, progress: Progress, note: str) -> Iterable[Any]:
    """Results in order; OpenCV works outside Python's lock."""
    with ThreadPoolExecutor(available_cores()) as pool:
        for index, result in enumerate(pool.map(work, range(count))):
            if index % 64 == 0 or index == count - 1:
                progress.update(index + 1, count, note)
            yield result


def _listed(left_out: Iterable[tuple[str, str]]) -> str:
    return "".join(f"\n  left out: {path} ({reason})" for path, reason in left_out)
