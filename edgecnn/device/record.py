"""``--record``: the frames with their answers drawn in, as a video."""

import queue
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import cv2

from edgecnn.device.draw import annotated
from edgecnn.device.frames import Answer
from edgecnn.errors import DeviceError, UsageError
from edgecnn.files import writing_to
from edgecnn.preprocess import Pixels

FPS = 25
STILL_S = 1.0
"""How long an image that has no time of its own is seen."""
LEAST_FREE_BYTES = 50_000_000
_CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "MJPG"}
_AHEAD = 8
_LONGEST_GAP_S = 2


@contextmanager
def recording_to(path: Path, *, live: bool) -> Iterator[Callable[[Answer], None]]:
    """What `run` calls with each answer: it draws and writes in a thread of its own.

    The video has `FPS` frames a second of the scene's own time: a frame is repeated or passed over to keep it. Frames
    of another size than the first are brought to that of the first. Of a live camera frames are passed over rather
    than the loop kept waiting; of a file all are written. The video stands beside ``path``, hidden, until it is whole.

    Raises:
        UsageError: not a name of a video, or not a place to write to.
        DeviceError: while writing: the disk is all but full; what was recorded so far is kept.
    """
    recording = _Recording(path)
    answers: queue.Queue[Answer | None] = queue.Queue(_AHEAD)
    failure: list[BaseException] = []

    def write() -> None:
        try:
            while (answer := answers.get()) is not None:
                recording.add(answer)
        except BaseException as error:  # it belongs to who hands over the answers
            failure.append(error)

    def hand_over(answer: Answer) -> None:
        while not failure:
            try:
                return answers.put(answer, block=not live, timeout=0.5)
            except queue.Full:
                if live:
                    return None
        raise failure[0]

    thread = threading.Thread(target=write, name="record", daemon=True)
    thread.start()
    try:
        yield hand_over
    finally:
        while thread.is_alive():
            try:
                answers.put(None, timeout=0.5)
                break
            except queue.Full:
                continue
        thread.join()
        recording.close()


class _Recording:
    """A video file that grows by answers."""

    def __init__(self, path: Path) -> None:
        if path.suffix.lower() not in _CODECS:
            raise UsageError(
                f"{path} is not a name of a video.",
                received=path.suffix or "no suffix",
                accepted=", ".join(_CODECS),
                remedy="--record demo.mp4",
            )
        self._path = path
        self._beside = path.with_name(f".{path.stem}.part{path.suffix}")  # OpenCV goes by the suffix
        with writing_to(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._beside.write_bytes(b"")  # a place that cannot be written to is said now
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self._start_s = 0.0
        self._written = 0

    def add(self, answer: Answer) -> None:
        """Write the frame as often as its time takes."""
        image = annotated(answer)
        if self._writer is None:
            self._open(image)
        self._make_sure_of_space()
        if image.shape[:2] != self._size:
            image = cast(Pixels, cv2.resize(image, self._size[::-1], interpolation=cv2.INTER_AREA))
        picture = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        end = self._end_of(answer.frame.at_s)
        while self._written < end and self._writer is not None:
            self._writer.write(picture)
            self._written += 1

    def _end_of(self, at_s: float | None) -> int:
        """How many frames there are to be once one of this time is written; a gap in time is left out."""
        if at_s is None:
            return self._written + round(STILL_S * FPS)
        place = round((at_s - self._start_s) * FPS)
        if not self._written - FPS <= place <= self._written + _LONGEST_GAP_S * FPS:
            self._start_s, place = at_s - self._written / FPS, self._written
        return place + 1

    def close(self) -> None:
        """Finish the file and give it its name; of nothing recorded nothing stays."""
        if self._writer is not None:
            self._writer.release()
            self._beside.replace(self._path)
        self._beside.unlink(missing_ok=True)

    def _open(self, image: Pixels) -> None:
        self._size = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2  # what codecs of video take
        codec = cv2.VideoWriter.fourcc(*_CODECS[self._path.suffix.lower()])
        self._writer = cv2.VideoWriter(str(self._beside), codec, FPS, self._size[::-1])
        if not self._writer.isOpened():
            self._writer = None
            raise DeviceError(
                f"No video can be written to {self._path}.",
                received=f"{self._size[1]}x{self._size[0]} pixels as {_CODECS[self._path.suffix.lower()]}",
                accepted="what this OpenCV can encode",
                remedy="--record demo.avi, which every OpenCV writes",
            )

    def _make_sure_of_space(self) -> None:
        """OpenCV does not say that a disk is full; a video that has no end cannot be read."""
        if (free := shutil.disk_usage(self._beside.parent).free) < LEAST_FREE_BYTES:
            raise DeviceError(
                f"The disk is all but full: the recording {self._path} ends here.",
                received=f"{free / 1e6:.0f} MB free",
                accepted=f"{LEAST_FREE_BYTES / 1e6:.0f} MB, which its end and the system may need",
                remedy="free some space; what was recorded so far is whole",
            )
