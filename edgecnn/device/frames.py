"""A frame, the answer to it, and what every camera provides."""

from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgecnn.inference import Prediction
from edgecnn.preprocess import Pixels

PHASES = ("capture", "preprocess", "invoke", "postprocess")


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One captured image.

    Attributes:
        number: how many frames this camera had captured before it; a gap is frames that nobody took in time.
        image: RGB, (height, width, 3), uint8.
        captured_ns: when it was captured, by `time.perf_counter_ns`.
        capture_ns: how long the read or the decode took, without any waiting for a live camera's next frame.
        source: the file it came from, where the camera is a folder.
        truth: the name of the class in it, where the camera knows.
        at_s: when in the scene's own time; None where it has nothing to do with the frames before.
    """

    number: int
    image: Pixels
    captured_ns: int
    capture_ns: int
    source: str | None = None
    truth: str | None = None
    at_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Looking:
    """Where in a frame the network saw a class.

    Attributes:
        map: (h, w), float32: 1 at the place that says most for the class, 0 at the least.
        region: the part of the frame that it covers: (top, left, height, width) in pixels.
    """

    map: NDArray[np.float32]
    region: tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A frame and what the model says about it.

    Attributes:
        predictions: of this frame alone, best first.
        steady: smoothed over time, best first.
        shown: what to tell people, with its smoothed score; None where it is unknown.
        phases_ns: how long each of `PHASES` took, in that order.
        answered_ns: when the predictions were there, by `time.perf_counter_ns`.
        dropped: frames that were captured before this one and not answered, since the start.
        looking: where the network saw the best class of this frame, where that was asked for.
    """

    frame: Frame
    predictions: tuple[Prediction, ...]
    steady: tuple[Prediction, ...]
    shown: Prediction | None
    phases_ns: tuple[int, int, int, int]
    answered_ns: int
    dropped: int
    looking: Looking | None = None


class Camera(Protocol):
    """A source of frames, to be used in a ``with``.

    Attributes:
        name: what a reader recognises it by.
        live: frames arrive whether they are taken or not, and the latest one wins.
        left_out: what could not be read, each with its reason: files of a folder, the rest of a film.
        notice: what a viewer should know at this moment, such as "/dev/video0 gives no picture; trying again in 4 s";
            None when all is well. May be asked for while another thread reads.
    """

    name: str
    live: bool
    left_out: list[str]
    notice: str | None = None

    def read(self) -> Frame | None:
        """Wait for the next frame; None at the end, and once the camera was closed.

        Raises:
            DeviceError: the camera stopped delivering.
        """

    def close(self) -> None:
        """Give the camera back. Another thread may be in `read`, which then returns soon."""

    def __enter__(self) -> "Camera":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
