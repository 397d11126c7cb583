"""``--collect``: frames kept as photos of a class, for the next build; and frames that the model is unsure of."""

import time
from datetime import datetime, timezone
from pathlib import Path

import cv2

from edgecnn.device.frames import Answer, Frame
from edgecnn.errors import DeviceError, UsageError
from edgecnn.files import check_folder, write_atomically
from edgecnn.images import is_label, visible_files

LIMIT_BYTES = 1_000_000_000
EVERY_S = 1.0
_QUALITY = 95


class Collection:
    """A folder of class folders that grows by single frames, as ``edgecnn build --data`` takes it.

    Each photo is written whole or not at all, as ``CLASS/DATE-TIME-NUMBER.jpg``, or with the name of the image file
    that it comes from.

    Args:
        root: the folder; it is made with the first photo.
        limit_bytes: of all the files in it.
    """

    def __init__(self, root: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self.root = root
        self._limit_bytes = limit_bytes
        check_folder(root)
        try:
            self._used = sum(path.stat().st_size for path in visible_files(root)) if root.exists() else 0
        except OSError as error:
            raise UsageError(
                f"Nothing can be collected in {root}.",
                received=error.strerror,
                accepted="a folder of this user's, or a place for one",
                remedy="choose another folder with --collect",
            ) from error

    def add(self, frame: Frame, label: str | None) -> Path:
        """Save a frame as a photo of a class; without a label in the folder itself, for somebody to sort.

        Raises:
            UsageError: not a name that a class folder can have, or the folder cannot be written to.
            DeviceError: the limit is reached, or the disk is full.
        """
        folder = self.root if label is None else self.root / _folder_name(label, self.root)
        image = cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR)
        data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
        if self._used + len(data) > self._limit_bytes:
            raise DeviceError(
                f"{self.root} is full: nothing more is collected.",
                received=f"{self._used / 1e6:.0f} MB in it",
                accepted=f"{self._limit_bytes / 1e6:.0f} MB, the limit",
                remedy="move photos away, or raise --collect-limit",
            )
        path = _free_path(folder, frame)
        write_atomically(path, data)
        self._used += len(data)
        return path


class Unsure:
    """What `run` calls with each answer: it keeps frames whose best smoothed score is low, one a second at most; of
    images, which have nothing to do with those before them, each.

    Args:
        collection: where they go, in no class.
        below: the score.

    Attributes:
        kept: how many there are.
        ended: why there are no more, where the folder is full.
    """

    def __init__(self, collection: Collection, below: float) -> None:
        self._collection, self._below = collection, below
        self._next_s = 0.0
        self.kept = 0
        self.ended: DeviceError | None = None

    def __call__(self, answer: Answer) -> None:
        """Keep the frame of an unsure answer; a full folder is no reason to end a demo."""
        early = answer.frame.source is None and time.monotonic() < self._next_s
        if self.ended or answer.steady[0].score >= self._below or early:
            return
        self._next_s = time.monotonic() + EVERY_S
        try:
            self._collection.add(answer.frame, None)
            self.kept += 1
        except DeviceError as error:
            self.ended = error


def _fault(name: str) -> str | None:
    """Why no folder of a class can have this name."""
    faults = {
        "is empty": not name,
        "has a / in it": "/" in name,
        "begins with a dot": name.startswith("."),
        "is longer than 200 bytes": len(name.encode(errors="replace")) > 200,
        "is not one line of text": not is_label(name) or "\0" in name,
    }
    return next((what for what, so in faults.items() if so), None)


def _free_path(folder: Path, frame: Frame) -> Path:
    """With the name of the frame's file where there is one, and no other photo has it."""
    dated = f"{datetime.now(tz=timezone.utc):%Y%m%d-%H%M%S-%f}-{frame.number}.jpg"
    named = folder / f"{Path(frame.source).stem}.jpg" if frame.source else folder / dated
    return folder / dated if named.exists() else named


def _folder_name(label: str, root: Path) -> str:
    """The name of a class's folder: one that is there already, whatever its case, or the label itself."""
    name = label.strip()
    if fault := _fault(name):
        raise UsageError(
            f"This cannot be the name of a class, for it {fault}.",
            received=f"{label!a}"[:80],
            accepted="one line without /, that does not begin with a dot, of 200 bytes at most",
            remedy="choose another name",
        )
    there = {path.name.casefold(): path.name for path in root.iterdir() if path.is_dir()} if root.is_dir() else {}
    return there.get(name.casefold(), name)
