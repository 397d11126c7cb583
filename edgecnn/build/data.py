"""The images of a build: what is known of them before they are decoded, what is left out, and how they are split."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgecnn.build.cache import Cache
from edgecnn.build.pixels import Rows, Stored, decoded, in_blocks
from edgecnn.errors import DataError
from edgecnn.images import (
    GIVE_PERMISSION,
    NO_PERMISSION,
    SPLITS,
    Split,
    SplitRule,
    UnreadableImage,
    open_image,
    read_image,
    split_digest,
)
from edgecnn.preprocess import InputSpec, Pixels
from edgecnn.progress import SILENT, Count, Progress
from edgecnn.splits import GOOD_START, check_splits, check_unlabelled, few_images

_SHOWN = 20  # of the images that are left out; the report has all


@dataclass(frozen=True, kw_only=True)
class Images:
    """Images of one split, at the network's size.

    Attributes:
        pixels: (n, height, width, channels), uint8: an array, or on disk and read when they are asked for.
        labels: (n,), int64, indices of classes; all of them `edgecnn.evaluation.UNKNOWN` where nobody has said them.
        digests: SHA-256 of each image's content.
    """

    pixels: Rows
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
    """All splits, the files that are in none, each with the reason, and classes of files without permission to read."""

    splits: Mapping[Split, Images]
    left_out: tuple[tuple[str, str], ...] = ()
    locked: frozenset[int] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Images that are known by their digest, and decoded or rendered once `load` is called.

    Attributes:
        labels: the names of the classes, in the order of their indices.
        digest: hash of everything that `load` depends on.
        rule: the shares of the splits.
        labelled: whether it is known which image is of which class: else there is nothing to train on.
        remarks: what the owner of the images should know before they are trained on.
        owned: whether somebody brought the images, and can bring more.
    """

    labels: tuple[str, ...]
    digest: str
    rule: SplitRule
    _load: Callable[[Progress, Cache], Loaded]
    labelled: bool = True
    remarks: tuple[str, ...] = ()
    owned: bool = True
    _loaded: list[Loaded] = field(default_factory=list, compare=False)

    def load(self, progress: Progress, cache: Cache | None = None) -> Loaded:
        """Decode or render everything, the first time it is called; see `edgecnn.build.pixels`.

        Args:
            progress: told how far it is, and which images are left out.
            cache: where decoded images are kept; None takes the user's.

        Raises:
            DataError: a class has no image in some split; the message says how many it takes.
            DeviceError, UsageError: the cache cannot be written to.
        """
        if not self._loaded:
            loaded = self._load(progress, cache or Cache())
            for remark in (*self.remarks, *self._checked(loaded)):
                progress.say(remark)
            self._loaded.append(loaded)
        return self._loaded[0]

    def warnings(self) -> tuple[str, ...]:
        """What `load` has said of the images; once loaded."""
        return *self.remarks, *self._checked(self._loaded[0])

    def __getitem__(self, split: Split) -> Images:
        """The images of one split, once loaded."""
        return self._loaded[0].splits[split]

    def _checked(self, loaded: Loaded) -> list[str]:
        """What is to be said of images that a build takes."""
        if not self.labelled:
            check_unlabelled({split: len(images) for split, images in loaded.splits.items()})
            return []
        counts = {split: Counter(images.labels.tolist()) for split, images in loaded.splits.items()}
        check_splits(self.labels, counts, self.rule, loaded.locked)
        if not self.owned:
            return []
        total = sum(counts.values(), Counter[int]())
        few = few_images({label: total[index] for index, label in enumerate(self.labels)}, self.rule)
        return [f"{few}; about {GOOD_START} a class are a good start"] if few else []


class Source(Protocol):
    """Where images come from: a frozen dataclass of settings."""

    @property
    def rule(self) -> SplitRule:
        """The shares of the splits."""

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""

    def open(self, spec: InputSpec, progress: Progress = SILENT) -> Dataset:
        """The data set at the network's size: named and digested, not decoded yet.

        Args:
            spec: the network's input.
            progress: where to say how far it is, if it takes long.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """An image that is not decoded yet.

    Attributes:
        name: what users know it by, such as its path.
        label: index of its class.
        digest: SHA-256 of its content.
        given: the split that its source has it in, if any.
    """

    name: str
    label: int
    digest: str
    given: Split | None = None


def of_items(
    labels: tuple[str, ...],
    items: Sequence[Item],
    read: Callable[[int], Pixels],
    *,
    content: object,
    rule: SplitRule,
    spec: InputSpec,
    remarks: tuple[str, ...] = (),
) -> Dataset:
    """The data set of images that a source found, whatever the source.

    What cannot be read is left out, and so are images that are in two classes (a label that contradicts itself teaches
    nothing) and copies of images that are in a split further from training.

    Args:
        labels: the names of the classes.
        items: the images, in the order that decides the training.
        read: one of them: RGB, (any height, any width, 3), uint8; raises `UnreadableImage`.
        content: JSON of all that decides what is loaded, beside the rule.
        rule: the shares of the splits, before those that are given.
        spec: the network's input.
        remarks: see `Dataset`.
    """
    rule = rule.beside({item.given for item in items})
    contradicted = _contradicted(items)
    content = [content, sorted(contradicted)] if contradicted else content
    unused = _unused(items, labels, contradicted)

    def load(progress: Progress, cache: Cache) -> Loaded:
        contents = [item.digest for item in items]
        pixels, unreadable = decoded(
            contents, len(items), read, spec, note="reading images", progress=progress, cache=cache
        )
        # What was never read has no digest: the reason in the cache may be another file's.
        unreadable = [
            reason if items[index].digest else _why(read, index) or reason for index, reason in enumerate(unreadable)
        ]
        places = np.cumsum([not reason for reason in unreadable]) - 1
        reasons = [reason or unused.get(index, "") for index, reason in enumerate(unreadable)]
        kept = [index for index, reason in enumerate(reasons) if not reason]
        names = [item.name for item in items]
        # What cannot be read comes first: of what is in two classes there may be more than is shown.
        left_out = sorted((name, reason) for name, reason in zip(names, unreadable, strict=True) if reason)
        left_out += sorted((names[index], reason) for index, reason in unused.items() if not unreadable[index])
        if left_out:
            progress.say(f"{len(left_out)} of {len(items)} files are left out:{_listed(left_out)}")
        locked = frozenset(items[index].label for index, why in enumerate(unreadable) if why == NO_PERMISSION)
        if locked:
            progress.say(f"permission to read some of them is missing: {GIVE_PERMISSION}")
        splits = by_split([items[index] for index in kept], pixels.of(places[kept]), rule)
        return Loaded(splits=splits, left_out=tuple(left_out), locked=locked)

    return Dataset(labels=labels, digest=content_digest(rule, content), rule=rule, _load=load, remarks=remarks)


def split_facts(splits: Mapping[Split, Images], rule: SplitRule) -> dict[str, Any]:
    """The rule and one digest a split, for the manifest."""
    return {"rule": rule.as_json(), "digests": {split: split_digest(splits[split].digests) for split in SPLITS}}


def content_digest(rule: SplitRule, content: object) -> str:
    """One digest for a data set: its rule, and JSON of all that decides its images."""
    return hashlib.sha256(json.dumps([rule.as_json(), content]).encode()).hexdigest()


def changed(name: str) -> DataError:
    """For an image that is another one than when the data set was opened."""
    return DataError(
        "An image was changed while the build ran.",
        received=name,
        accepted="images that stay as they are",
        remedy="run the command again",
    )


def read_item(item: Item) -> Pixels:
    """The image of a file: RGB, (any height, any width, 3), uint8.

    Raises:
        UnreadableImage: see `edgecnn.images.read_image`.
        DataError: it is another one than when the data set was opened.
    """
    frame, digest = read_image(Path(item.name))
    if digest != item.digest:
        raise changed(item.name)
    return frame


def file_digests(paths: Sequence[Path], progress: Progress = SILENT) -> list[str]:
    """SHA-256 of each file; nothing for one that cannot be read, which `read_image` will refuse, too."""
    count = Count(progress, len(paths), "looking at the images")
    digests: list[str] = []
    for _, block in in_blocks(lambda index: _file_digest(paths[index]), range(len(paths)), block=64):
        digests += block
        count.step(len(block))
    return digests


def _file_digest(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with open_image(path) as file:
            while part := file.read(2**20):
                digest.update(part)
    except (OSError, UnreadableImage):
        return ""
    return digest.hexdigest()


def _why(read: Callable[[int], Pixels], index: int) -> str:
    """Why an image cannot be read."""
    try:
        read(index)
    except UnreadableImage as error:
        return str(error)
    return ""


def _unused(
    items: Sequence[Item], labels: tuple[str, ...], contradicted: Mapping[str, Sequence[int]]
) -> dict[int, str]:
    """Why images are left out that can be read, by index."""
    owner = {  # of copies the one furthest from training stays
        item.digest: item.given for split in ("train", "validation", "test") for item in items if item.given == split
    }
    copies = {
        index: f"a copy of it is in {owner[item.digest]}"
        for index, item in enumerate(items)
        if item.given != owner.get(item.digest)
    }
    return copies | {
        index: f"the same image is in {' and '.join(labels[label] for label in contradicted[item.digest])}"
        for index, item in enumerate(items)
        if item.digest in contradicted
    }


def _contradicted(items: Sequence[Item]) -> dict[str, list[int]]:
    """Digests of images that are in several classes, each with these classes."""
    first: dict[str, int] = {}
    found: dict[str, set[int]] = {}
    for item in items:
        if item.digest and first.setdefault(item.digest, item.label) != item.label:
            found.setdefault(item.digest, {first[item.digest]}).add(item.label)
    return {digest: sorted(labels) for digest, labels in found.items()}


def by_split(items: Sequence[Item], pixels: Stored, rule: SplitRule) -> dict[Split, Images]:
    """Images by split, with the pixels of each."""
    members: dict[Split, list[int]] = {split: [] for split in SPLITS}
    for index, item in enumerate(items):
        members[rule.split_of(item.digest, item.given)].append(index)
    return {
        split: Images(
            pixels=pixels.of(chosen),
            labels=np.array([items[index].label for index in chosen], np.int64),
            digests=tuple(items[index].digest for index in chosen),
        )
        for split, chosen in members.items()
    }


def _listed(left_out: Sequence[tuple[str, str]]) -> str:
    shown = "".join(f"\n  left out: {path} ({reason})" for path, reason in left_out[:_SHOWN])
    return shown + (f"\n  and {len(left_out) - _SHOWN} more" if len(left_out) > _SHOWN else "")
