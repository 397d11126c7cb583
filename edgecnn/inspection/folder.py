"""What a folder of photos holds, before anything is trained on it: `inspect_folder` reads all.

Nothing is kept of an image but some facts, its hash and a thumbnail of 192 bytes, so memory grows by under 2 kB a file.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.errors import DataError
from edgecnn.images import (
    NO_PERMISSION,
    SPLITS,
    ImageFile,
    Split,
    SplitRule,
    UnreadableImage,
    beside_classes,
    class_folders,
    read_image,
)
from edgecnn.inspection.duplicates import THUMB, fingerprint, near_duplicates
from edgecnn.inspection.formats import oddities
from edgecnn.latency import available_cores
from edgecnn.preprocess import InputSpec, Pixels
from edgecnn.progress import Progress
from edgecnn.splits import Fault, check_splits, faults

INPUT = InputSpec(height=96, width=96)
"""What `pipelines/photos.py` brings images to; a test holds the two together, and the rule of the splits, too."""
_BLOCK = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """A file that was read.

    Attributes:
        file: which, with its class and perhaps its given split.
        digest: SHA-256 of its bytes, hexadecimal.
        size: (height, width) in pixels, upright.
        odd: what of `edgecnn.inspection.formats.HANDLED` is true of it.
        split: where a build has it; None: nowhere, for it is a copy that is left out.
    """

    file: ImageFile
    digest: str
    size: tuple[int, int]
    odd: tuple[str, ...] = ()
    split: Split | None = None


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """A folder of class folders, as a build would see it.

    Attributes:
        root: the folder.
        input: what a build brings images to.
        labels: the names of the classes, sorted.
        rule: the shares of the splits, without those that the folder gives.
        images: what can be read, sorted by path.
        unreadable: what cannot, each with the reason.
        outside: visible files that are in no class folder.
        copies: groups of images with the same bytes, as indices of `images`.
        alike: groups of near duplicates in the splits of a build, as indices of `images`; of copies one is in them.
    """

    root: Path
    input: InputSpec = INPUT
    labels: tuple[str, ...]
    rule: SplitRule
    images: tuple[Seen, ...]
    unreadable: tuple[tuple[ImageFile, str], ...] = ()
    outside: tuple[Path, ...] = ()
    copies: tuple[tuple[int, ...], ...] = ()
    alike: tuple[tuple[int, ...], ...] = ()

    def refusal(self) -> DataError | None:
        """Why a build would not take the folder, as it would say it; None where it would; see `faults`, too."""
        try:
            check_splits(self.labels, self.by_split(), self.rule, self._locked())
        except DataError as error:
            return error
        return None

    def faults(self) -> list[Fault]:
        """Everything for which a build would not take the folder."""
        return faults(self.labels, self.by_split(), self._locked())

    def by_split(self) -> dict[Split, Counter[int]]:
        """How many images of each class a build has in each split."""
        counts: dict[Split, Counter[int]] = {split: Counter() for split in SPLITS}
        for image in self.images:
            if image.split:
                counts[image.split][image.file.label] += 1
        return counts

    def counts(self) -> dict[str, dict[str, int]]:
        """By class, the images in it, in each split of it, and the files that a build leaves out, images or not."""
        images = Counter(image.file.label for image in self.images)
        left_out = Counter(image.file.label for image in self.images if not image.split)
        left_out.update(file.label for file, _ in self.unreadable)
        return {
            label: {
                "images": images[index],
                **{split: counts[index] for split, counts in self.by_split().items()},
                "left_out": left_out[index],
            }
            for index, label in enumerate(self.labels)
        }

    def sizes(self) -> dict[str, dict[str, Any]]:
        """The smallest, the median and the largest image by number of pixels; nothing where there is no image."""
        ranked = sorted(self.images, key=lambda image: image.size[0] * image.size[1])
        places = {"smallest": 0, "median": len(ranked) // 2, "largest": len(ranked) - 1}
        return {
            name: {
                "height": ranked[place].size[0],
                "width": ranked[place].size[1],
                "path": self.name(ranked[place].file.path),
            }
            for name, place in (places.items() if ranked else ())
        }

    def _locked(self) -> frozenset[int]:
        """Classes with files for which permission is missing."""
        return frozenset(file.label for file, why in self.unreadable if why == NO_PERMISSION)

    def name(self, path: Path) -> str:
        """A path below the folder."""
        return str(path.relative_to(self.root))


def inspect_folder(root: Path, progress: Progress, spec: InputSpec = INPUT) -> Inspection:
    """Read every image of a folder of class folders.

    Args:
        root: the folder.
        progress: told how far it is.
        spec: what a build brings images to.

    Raises:
        DataError: there is no such folder, or no class folder in it.
    """
    labels, files = class_folders(root)
    seen, unreadable, (hashes, thumbs) = _read(files, progress)
    rule = SplitRule().beside({file.given for file in files})
    images = _placed(seen, rule)
    progress.update(0, 0, "comparing images")
    return Inspection(
        root=root,
        input=spec,
        labels=labels,
        rule=rule,
        images=images,
        unreadable=tuple(unreadable),
        outside=beside_classes(root, files),
        copies=tuple(group for group in _groups([image.digest for image in images]) if len(group) > 1),
        alike=_alike(images, hashes, thumbs),
    )


def _read(
    files: Sequence[ImageFile], progress: Progress
) -> tuple[list[Seen], list[tuple[ImageFile, str]], tuple[NDArray[np.uint64], Pixels]]:
    """The images, what is none with the reason, and the hashes and thumbnails of the images."""
    seen: list[Seen] = []
    unreadable: list[tuple[ImageFile, str]] = []
    hashes, thumbs = np.empty(len(files), np.uint64), np.empty((len(files), *THUMB), np.uint8)
    for done, (file, found) in enumerate(zip(files, _in_blocks(files), strict=True), start=1):
        if isinstance(found, str):
            unreadable.append((file, found))
        else:
            image, hashes[len(seen)], thumbs[len(seen)] = found
            seen.append(image)
        if done % 64 == 0 or done == len(files):
            progress.update(done, len(files), "reading images")
    return seen, unreadable, (hashes[: len(seen)], thumbs[: len(seen)])


def _in_blocks(files: Sequence[ImageFile]) -> Iterator[tuple[Seen, int, Pixels] | str]:
    """What `_look` says of each, some at a time: OpenCV works outside Python's lock."""
    with ThreadPoolExecutor(available_cores()) as pool:
        for start in range(0, len(files), _BLOCK):
            yield from pool.map(_look, files[start : start + _BLOCK])


def _alike(images: Sequence[Seen], hashes: NDArray[np.uint64], thumbs: Pixels) -> tuple[tuple[int, ...], ...]:
    """Groups of near duplicates among what a build has, of copies one."""
    one_each = {image.digest: index for index, image in reversed(list(enumerate(images))) if image.split}
    chosen = np.array(sorted(one_each.values()), int)
    groups = _groups(near_duplicates(hashes[chosen], thumbs[chosen]).tolist())
    return tuple(tuple(chosen[list(group)].tolist()) for group in groups if len(group) > 1)


def _look(file: ImageFile) -> tuple[Seen, int, Pixels] | str:
    """The facts, the hash and the thumbnail of an image, or why there are none."""
    try:
        frame, digest = read_image(file.path)
        odd = oddities(file.path.read_bytes())
    except (UnreadableImage, OSError) as error:  # the second: it was taken away between the two reads
        return str(error)
    return Seen(file=file, digest=digest, size=frame.shape[:2], odd=odd), *fingerprint(frame)


def _groups(keys: Sequence[object]) -> list[tuple[int, ...]]:
    """Indices of equal keys, in the order of the first of each."""
    found: dict[object, list[int]] = {}
    for index, key in enumerate(keys):
        found.setdefault(key, []).append(index)
    return [tuple(group) for group in found.values()]


def _placed(images: Sequence[Seen], rule: SplitRule) -> tuple[Seen, ...]:
    """Each with the split that a build has it in: copies in two classes in none, others where the last split is."""
    splits: list[Split | None] = [None] * len(images)
    for group in _groups([image.digest for image in images]):
        if len({images[index].file.label for index in group}) > 1:
            continue
        given = {images[index].file.given for index in group}
        last = next((split for split in ("test", "validation", "train") if split in given), None)
        for index in group:
            if images[index].file.given == last:
                splits[index] = rule.split_of(images[index].digest, last)
    return tuple(replace(image, split=split) for image, split in zip(images, splits, strict=True))
