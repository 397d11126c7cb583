"""What the cameras that OpenCV drives have in common: a capture, a lock around it, RGB, and silence."""

import os
import threading
import time
from typing import Any, cast

import cv2

from edgecnn.device.frames import Camera, Frame
from edgecnn.preprocess import Pixels


class Capture(Camera):
    """A camera on a `cv2.VideoCapture`, which the subclass opens.

    Args:
        name: what a reader recognises it by.
        arguments: those of `cv2.VideoCapture`.
    """

    def __init__(self, name: str, *arguments: Any) -> None:
        self.name = name
        self.left_out: list[str] = []
        self.captured = 0
        self.closed = False
        self._reading = threading.Lock()  # OpenCV crashes where a capture is released while another thread reads it
        quieten()
        self.capture = cv2.VideoCapture(*arguments)

    def grab(self, *, wait: bool) -> Frame | None:
        """The next frame; None where there is none. ``wait``: the grab is a wait, and no part of the capture time."""
        with self._reading:
            if self.closed:
                return None
            start = time.perf_counter_ns()
            grabbed = self.capture.grab()
            if wait:
                start = time.perf_counter_ns()
            retrieved, image = self.capture.retrieve() if grabbed else (False, None)
        if not grabbed:
            return None
        if not retrieved or image is None:
            raise Undecodable
        pixels = cast(Pixels, cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        now, number = time.perf_counter_ns(), self.captured
        captured_ns = start if wait else now
        self.captured += 1
        return Frame(
            number=number, image=pixels, captured_ns=captured_ns, capture_ns=now - start, at_s=captured_ns / 1e9
        )

    def close(self) -> None:
        """Give it back, after a read that another thread is in."""
        with self._reading:
            self.closed = True
            self.capture.release()


class Undecodable(Exception):
    """A frame has arrived and is no picture."""


def quieten() -> None:
    """Keep what OpenCV and FFmpeg print below Python off stderr, unless the user set OpenCV's own variables."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
    if "OPENCV_LOG_LEVEL" in os.environ:
        return
    if hasattr(cv2, "setLogLevel"):  # OpenCV 4
        cv2.setLogLevel(0)
    else:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
