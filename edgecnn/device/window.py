"""The live picture in a window on this computer's screen, with the answer drawn into it."""

import os
import sys
from types import TracebackType
from typing import cast

import cv2
import numpy as np

from edgecnn.device.frames import Answer
from edgecnn.device.views import Run, View
from edgecnn.errors import DeviceError, UsageError
from edgecnn.preprocess import Pixels

NAME = "edgecnn"
ROWS, LEAST_HEIGHT = 5, 360
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_WHITE, _GREEN, _GREY, _AMBER = (255, 255, 255), (110, 220, 120), (150, 150, 150), (80, 190, 255)  # BGR


class WindowView(View):
    """The key q, or closing the window, ends the run.

    Letters that OpenCV's font lacks are drawn as question marks; the other views show them.

    Raises:
        UsageError: on entering: this OpenCV has no windows.
        DeviceError: on entering: there is no screen.
    """

    def __enter__(self) -> "WindowView":
        # First, for OpenCV with windows ends the whole process where it finds no screen.
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise DeviceError(
                "There is no screen to open a window on.",
                received="neither DISPLAY nor WAYLAND_DISPLAY is set",
                accepted="a session on a desktop",
                remedy="start it on the desktop, or choose --view web or --view terminal",
            )
        try:
            cv2.namedWindow(NAME, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        except cv2.error as error:
            raise UsageError(
                "The window cannot be opened: this OpenCV was made without windows.",
                received=f"OpenCV {cv2.__version__}, headless",
                accepted="the package opencv-python in the place of opencv-python-headless",
                remedy="pip uninstall opencv-python-headless && pip install opencv-python; or choose --view web",
            ) from error
        self._picture: Pixels | None = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        cv2.destroyAllWindows()

    def begin(self, run: Run) -> None:
        """Keep what ends the run."""
        self._controls = run.controls

    def show(self, answer: Answer) -> None:
        """Draw the answer, and look at the keys."""
        first, self._picture = self._picture is None, drawn(answer)
        if first:
            height, width = self._picture.shape[:2]
            cv2.resizeWindow(NAME, width, height)
        self._refresh(self._picture)

    def idle(self, notice: str | None) -> None:
        """Say why nothing comes, over the last picture."""
        picture = (
            np.zeros((LEAST_HEIGHT, LEAST_HEIGHT * 4 // 3, 3), np.uint8) if self._picture is None else self._picture
        )
        if notice:
            picture = picture.copy()
            _write(picture, notice, (12, picture.shape[0] - 14), _AMBER)
        self._refresh(picture)

    def _refresh(self, picture: Pixels) -> None:
        cv2.imshow(NAME, picture)
        pressed = cv2.waitKey(1) & 0xFF
        if pressed == ord("q") or _is_closed():
            self._controls.stop = True


def _is_closed() -> bool:
    try:
        return cv2.getWindowProperty(NAME, cv2.WND_PROP_VISIBLE) < 1
    except cv2.error:  # with Qt, when the last window was closed
        return True


def drawn(answer: Answer) -> Pixels:
    """The frame with label and bars, as OpenCV shows it: BGR; a small one is enlarged, to be legible."""
    picture = cast(Pixels, cv2.cvtColor(answer.frame.image, cv2.COLOR_RGB2BGR))
    scale = LEAST_HEIGHT / picture.shape[0]
    if scale > 1:
        picture = cast(Pixels, cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST))
    best = answer.steady[:ROWS]
    corner = picture[: 62 + 22 * len(best), :300]
    corner[:] = corner // 3  # darker, so that what is written can be read on any picture
    if answer.shown is None:
        _write(picture, "unknown", (12, 34), _GREY, size=0.9)
    else:
        _write(picture, answer.shown.label, (12, 34), _GREEN, size=0.9)
    for row, prediction in enumerate(best):
        y = 66 + 22 * row
        share = min(1.0, max(0.0, prediction.score)) if prediction.score == prediction.score else 0.0
        cv2.rectangle(picture, (12, y - 10), (111, y), _GREY, 1)
        cv2.rectangle(picture, (12, y - 10), (12 + round(99 * share), y), _GREEN if row == 0 else _GREY, cv2.FILLED)
        _write(picture, f"{prediction.score:.2f} {prediction.label}", (120, y), _WHITE)
    return picture


def _write(picture: Pixels, text: str, at: tuple[int, int], color: tuple[int, int, int], size: float = 0.5) -> None:
    cv2.putText(picture, text, at, _FONT, size, color, 2 if size > 0.6 else 1, cv2.LINE_AA)
