"""Image files on disk: reading them, folders of classes, and the split that a file belongs to.

A file's split is decided by the SHA-256 of its bytes, so that it is the same on every machine: copies of one
image never straddle two splits, and adding an image moves no other.
"""

import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import cv2
import numpy as np

from edgecnn.errors import DataError
from edgecnn.preprocess import Pixels

Split = Literal["train", "validation", "calibration", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "calibration", "test")
LARGEST_PIXELS = 2**28  # 268 megapixels, 0.8 GB once decoded; a file of kilobytes may claim more
LARGEST_BYTES = 2**30
NO_PERMISSION = "permission to read it is missing"
NO_TARGET = "a link that leads nowhere"
NO_REGULAR_FILE = "no regular file"
GIVE_PERMISSION = "chmod -R u+rX FOLDER gives it where the files are yours; else ask their owner, or use sudo"
_JPEG_MARKER = re.compile(rb"\xff[\x02-\xcf\xd9-\xfe]")  # all but those that stand alone, and the stuffing


class UnreadableImage(Exception):
    """A file that is no image, or not a whole one; the reason is its text."""


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """A file in a folder of classes.

    Attributes:
        path: of the file.
        label: index into the sorted names of the classes.
        given: ``train``, ``validation`` or ``test``, where the folder says to which split the file belongs.
    """

    path: Path
    label: int
    given: Split | None = None


@dataclass(frozen=True, kw_only=True)
class SplitRule:
    """The share of the images in each split but train, which has the rest."""

    validation: float = 0.10
    calibration: float = 0.05
    test: float = 0.15

    def problems(self) -> list[str]:
        """What is wrong with it, one sentence each."""
        shares = (self.validation, self.calibration, self.test)
        if min(shares) <= 0 or sum(shares) >= 1:
            return [f"the splits are positive shares that leave some images to train with, not {shares}"]
        return []

    def beside(self, given: Iterable[Split | None]) -> "SplitRule":
        """The rule for images of which some have a split that was given: none is moved into such a split."""
        taken: dict[str, Any] = {split: 0.0 for split in ("validation", "test") if split in given}
        return replace(self, **taken)

    def split_of(self, digest: str, given: Split | None = None) -> Split:
        """The split of an image, from the hexadecimal SHA-256 of its bytes; one that was given stays, but for train."""
        if given not in (None, "train"):
            return given
        place = int(digest[:12], 16) / 16**12
        for split, share in (("test", self.test), ("validation", self.validation), ("calibration", self.calibration)):
            if place < share:
                return cast(Split, split)
            place -= share
        return "train"

    def as_json(self) -> dict[str, Any]:
        """The fields, for the manifest."""
        return asdict(self)


def split_digest(digests: Iterable[str]) -> str:
    """One digest for a set of images: it depends on what is in the split, not on names or order."""
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()


_GIVEN: dict[str, Split] = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}


def class_folders(root: Path) -> tuple[tuple[str, ...], tuple[ImageFile, ...]]:
    """The classes below a folder, and every file that might be an image, sorted. Hidden files are passed over.

    A folder of ``train`` and ``test``, and perhaps ``val`` or ``validation``, holds class folders in each of them; a
    class of one of them is one of all. Whether classes and images will do is for `edgecnn.splits.faults` to say, and
    whether a file can be read at all for `read_image`: links that lead nowhere are among them, too; see `listed_files`.

    Raises:
        DataError: there is no such folder, or no class folder in it.
    """
    given: dict[str, Split | None] = {**_given_splits(root)} or {"": None}
    parts = {split: _class_folders(root / folder) for folder, split in given.items()}
    labels = tuple(sorted({name for classes in parts.values() for name in classes}))
    files = tuple(
        ImageFile(path=path, label=labels.index(name), given=split)
        for split, classes in parts.items()
        for name, paths in classes.items()
        for path in paths
    )
    return labels, files


def beside_classes(root: Path, files: Sequence[ImageFile]) -> tuple[Path, ...]:
    """Visible files beside the class folders, which no build looks at.

    Args:
        root: the folder.
        files: those in its class folders; see `class_folders`.
    """
    parents = {root, *(root.joinpath(*file.path.relative_to(root).parts[:1]) for file in files if file.given)}
    beside = [path for parent in parents for path in parent.iterdir() if not is_folder(path)]
    return tuple(sorted(path for path in beside if not path.name.startswith(".")))


def _given_splits(root: Path) -> dict[str, Split]:
    """Folders that are splits, by name; none where the folders below are classes."""
    try:
        visible = {path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")}
        if not {"train", "test"} <= visible <= set(_GIVEN) or {"val", "validation"} <= visible:
            return {}
        inside = [path for name in visible for path in (root / name).iterdir()]
    except OSError:
        return {}  # what is wrong is said when its classes are looked for
    if not any(path.is_dir() for path in inside):
        return {}  # photographs of trains and of tests
    return {name: _GIVEN[name] for name in sorted(visible)}


def _class_folders(root: Path) -> dict[str, list[Path]]:
    """What is in each class folder, by its name; see `listed_files`."""
    problem = "the folder holds no class folders"
    remedy = "sort the images into DIR/CLASS/, for example photos/cat/1.jpg and photos/dog/1.jpg"
    try:
        folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
        if folders:
            return {folder.name: listed_files(folder) for folder in folders}
        if not any(root.iterdir()):
            problem = "the folder is empty"
    except FileNotFoundError:
        problem = "there is no such folder"
    except NotADirectoryError:
        problem = "it is a file, and no folder"
    except PermissionError:
        problem, remedy = NO_PERMISSION, GIVE_PERMISSION
    except OSError as error:
        problem = f"it cannot be read ({error.strerror})"
    raise DataError(
        f"The data in {root} cannot be used: {problem}.",
        received=str(root),
        accepted="a folder with one folder a class, at least two of them, with images in each",
        remedy=remedy,
    )


def is_label(name: str) -> bool:
    """Whether a name is one line of UTF-8, as a labels file holds it."""
    return name.splitlines() == [name] and name.encode(errors="replace").decode() == name


def read_image(path: Path) -> tuple[Pixels, str]:
    """Read a whole image in any format of OpenCV, turned upright as its EXIF orientation says.

    Returns:
        RGB, (height, width, 3), uint8, and the hexadecimal SHA-256 of the file's bytes.

    Raises:
        UnreadableImage: not an image, cut short, too large, or a file that the system does not let us read.
    """
    try:
        with open_image(path) as file:
            if os.fstat(file.fileno()).st_size > LARGEST_BYTES:
                raise UnreadableImage(f"larger than {LARGEST_BYTES / 1e9:.1f} GB")
            data = file.read()
    except OSError as error:
        raise UnreadableImage(f"it cannot be read: {error.strerror}") from error
    return decode_image(data), hashlib.sha256(data).hexdigest()


def open_image(path: Path) -> BinaryIO:
    """Open a file, unless it is no regular one: to open a FIFO takes until somebody writes to it.

    Raises:
        UnreadableImage: it cannot be opened; without permission the reason is `NO_PERMISSION`.
    """
    try:
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):  # see `listed_files`
            os.scandir(path).close()
        if not stat.S_ISREG(kind):
            raise UnreadableImage(NO_REGULAR_FILE)
        return path.open("rb", buffering=0)
    except PermissionError as error:
        raise UnreadableImage(NO_PERMISSION) from error
    except OSError as error:
        nowhere = error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP) and path.is_symlink()
        raise UnreadableImage(NO_TARGET if nowhere else f"it cannot be read: {error.strerror}") from error


def decode_image(data: bytes) -> Pixels:
    """Decode the bytes of an image file; see `read_image`. Alpha is dropped, and of an animation the first frame taken.

    What `LARGEST_PIXELS` does not let through is a JPEG or a PNG; of other formats OpenCV itself refuses over 2**30.
    """
    if not data:
        raise UnreadableImage("the file is empty")
    # OpenCV fills the missing part of a file that was cut short with grey and says nothing: look for its end.
    if data.startswith(b"\xff\xd8") and not _jpeg_ends(data):
        raise UnreadableImage("a JPEG that was cut short")
    if data.startswith(b"\x89PNG") and data.rfind(b"IEND") < data.rfind(b"IDAT"):
        raise UnreadableImage("a PNG that was cut short")
    height, width = _claimed_size(data)
    if height * width > LARGEST_PIXELS:
        raise UnreadableImage(f"{width}x{height} pixels, and {LARGEST_PIXELS / 1e6:.0f} megapixels are read at most")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise UnreadableImage(f"OpenCV refuses it: {error.err}") from error
    if image is None:
        raise UnreadableImage("not an image that OpenCV reads")
    return cast(Pixels, cv2.cvtColor(image, cv2.COLOR_BGR2RGB))


def _jpeg_ends(data: bytes) -> bool:
    return any(marker == 0xD9 for marker, _ in _jpeg_markers(data))


def _claimed_size(data: bytes) -> tuple[int, int]:
    """Height and width from the header of a PNG or a JPEG; (0, 0) for others."""
    if data.startswith(b"\x89PNG"):
        return int.from_bytes(data[20:24], "big"), int.from_bytes(data[16:20], "big")
    if data.startswith(b"\xff\xd8"):
        for marker, place in _jpeg_markers(data):
            if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame's header
                frame = data[place + 3 : place + 7]
                return int.from_bytes(frame[:2], "big"), int.from_bytes(frame[2:], "big")
    return 0, 0


def _jpeg_markers(data: bytes) -> Iterator[tuple[int, int]]:
    """Each marker to the end, and where what it marks begins; a thumbnail inside a segment is passed over."""
    found = _JPEG_MARKER.search(data, 2)
    while found:
        yield found[0][1], found.end()
        if found[0] == b"\xff\xd9":  # what a phone appends is not looked at
            return
        segment = int.from_bytes(data[found.end() : found.end() + 2], "big")
        found = _JPEG_MARKER.search(data, found.end() + segment)


def visible_files(folder: Path) -> list[Path]:
    """Every regular file below a folder, sorted; hidden ones, and those in hidden folders, are passed over."""
    return [path for path in listed_files(folder) if path != folder and stat.S_ISREG(_mode(path))]


def listed_files(folder: Path) -> list[Path]:
    """All that is visible below a folder but folders, sorted, whether it can be read or not.

    A folder that cannot be listed is there itself, for what is in it; a link to a folder is not followed.
    """
    try:
        with os.scandir(folder) as entries:
            visible = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError:
        return [folder]
    found = list[Path]()
    for entry in visible:
        path = folder / entry.name
        if entry.is_dir(follow_symlinks=False):
            found += listed_files(path)
        elif not is_folder(path):
            found.append(path)
    return sorted(found)


def is_folder(path: Path) -> bool:
    """Whether it is a folder or leads to one, as far as the system lets us see."""
    return stat.S_ISDIR(_mode(path))


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:
        return 0
