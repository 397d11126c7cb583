"""The live picture in a window on this computer's screen, with the answer drawn into it."""

import os
import sys
from types import TracebackType
from typing import cast

import cv2
import numpy as np

from edgecnn.device.draw import annotated
from edgecnn.device.frames import Answer
from edgecnn.device.views import Run, View
from edgecnn.errors import DeviceError, UsageError
from edgecnn.preprocess import Pixels

NAME = "edgecnn"
LEAST_HEIGHT = 480  # a small frame is enlarged by the window, which is the user's to resize
_AMBER = (80, 190, 255)  # BGR


class WindowView(View):
    """The key q, or closing the window, ends the run.

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
        picture = cast(Pixels, cv2.cvtColor(annotated(answer), cv2.COLOR_RGB2BGR))
        if self._picture is None:
            height, width = picture.shape[:2]
            scale = max(1.0, LEAST_HEIGHT / height)
            cv2.resizeWindow(NAME, round(width * scale), round(height * scale))
        self._picture = picture
        self._refresh(picture)

    def idle(self, notice: str | None) -> None:
        """Say why nothing comes, over the last picture."""
        picture = self._picture
        if picture is None:
            picture = np.zeros((LEAST_HEIGHT, LEAST_HEIGHT * 4 // 3, 3), np.uint8)
        self._refresh(_with_notice(picture, notice) if notice else picture)

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


def _with_notice(picture: Pixels, notice: str) -> Pixels:
    """On a darkened band at the top; letters grow with the picture, and a long notice ends where the picture does."""
    picture = picture.copy()
    scale = max(0.3, min(picture.shape[:2]) / 480)
    picture[: round(40 * scale)] //= 4
    at = round(10 * scale), round(27 * scale)
    cv2.putText(picture, notice, at, cv2.FONT_HERSHEY_SIMPLEX, 0.6 * scale, _AMBER, max(1, round(scale)), cv2.LINE_AA)
    return picture
