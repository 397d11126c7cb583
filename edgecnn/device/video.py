"""The two cameras that OpenCV's videoio drives: a USB camera and a video file."""

import os
import threading
import time
from pathlib import Path
from typing import cast

import cv2

from edgecnn.device.frames import Camera, Frame
from edgecnn.errors import DeviceError
from edgecnn.preprocess import Pixels


class UsbCamera(Camera):
    """A live V4L2 camera, by number (``0``) or by path (``/dev/video0``, ``/dev/v4l/by-id/...``).

    Raises:
        DeviceError: there is no such camera, or it cannot be opened.
    """

    live = True

    def __init__(self, device: int | str) -> None:
        self.name = f"/dev/video{device}" if isinstance(device, int) else device
        self.left_out: list[str] = []
        self._captured = 0
        self._reading = threading.Lock()  # OpenCV crashes where a capture is released while another thread reads it
        _quieten()
        self._capture = cv2.VideoCapture(device, cv2.CAP_V4L2)
        if not self._capture.isOpened():
            raise _no_camera(self.name)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the driver, too, keeps the latest frame and no queue

    def read(self) -> Frame:
        """Wait for the next frame; the wait is not part of the capture time, the decoding is."""
        with self._reading:
            grabbed = self._capture.grab()
            captured_ns = time.perf_counter_ns()
            retrieved, image = self._capture.retrieve() if grabbed else (False, None)
        if not retrieved or image is None:
            raise DeviceError(
                f"The camera {self.name} stopped delivering after {self._captured} frames.",
                received="no frame",
                accepted="a camera that stays connected",
                remedy="check its cable and its power (`dmesg | tail`), then start the demo again",
            )
        return self._frame(cast(Pixels, cv2.cvtColor(image, cv2.COLOR_BGR2RGB)), captured_ns)

    def close(self) -> None:
        """Give the device back, after a read that another thread is in."""
        with self._reading:
            self._capture.release()

    def _frame(self, image: Pixels, captured_ns: int) -> Frame:
        self._captured += 1
        duration = time.perf_counter_ns() - captured_ns
        return Frame(number=self._captured - 1, image=image, captured_ns=captured_ns, capture_ns=duration)


class VideoFile(Camera):
    """Every frame of a video file, in order, turned upright as the file says.

    Raises:
        DeviceError: OpenCV reads no video from it.
    """

    live = False

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.left_out: list[str] = []
        self._captured = 0
        _quieten()
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        self._path = path
        if not self._capture.isOpened():
            raise _no_video(path)
        self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # off by default in OpenCV 4.11 (opencv#26795)

    def read(self) -> Frame | None:
        """Decode the next frame; the capture time is the whole of it."""
        start = time.perf_counter_ns()
        if not self._capture.grab():
            if not self._captured:  # FFmpeg opens a text, and finds no picture in it
                raise _no_video(self._path)
            return None
        retrieved, image = self._capture.retrieve()
        if not retrieved or image is None:
            raise DeviceError(
                f"Frame {self._captured} of {self.name} cannot be decoded.",
                accepted="a video that is whole",
                remedy="convert it: `ffmpeg -i FILE -c:v libx264 out.mp4`",
            )
        pixels = cast(Pixels, cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        now, number = time.perf_counter_ns(), self._captured
        self._captured += 1
        return Frame(number=number, image=pixels, captured_ns=now, capture_ns=now - start)

    def close(self) -> None:
        """Close the file."""
        self._capture.release()


def _no_video(path: Path) -> DeviceError:
    return DeviceError(
        f"{path} is neither an image nor a video that can be read.",
        received=str(path),
        accepted="a file that OpenCV reads, for example .mp4, .avi, .mkv, .jpg, .png",
        remedy="check that the file is whole, or convert it: `ffmpeg -i FILE -c:v libx264 out.mp4`",
    )


def _quieten() -> None:
    """Keep what OpenCV and FFmpeg print below Python off stderr, unless the user set OpenCV's own variables."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
    if "OPENCV_LOG_LEVEL" in os.environ:
        return
    if hasattr(cv2, "setLogLevel"):  # OpenCV 4
        cv2.setLogLevel(0)
    else:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def _no_camera(name: str) -> DeviceError:
    """Why a device cannot be opened, as far as the file system tells."""
    devices = sorted(str(path) for path in Path("/dev").glob("video*"))
    if not Path(name).exists():
        message = f"There is no camera {name}."
        remedy = "see `v4l2-ctl --list-devices`, or try --camera synthetic"
    elif not os.access(name, os.R_OK | os.W_OK):
        message = f"This user may not open {name}."
        remedy = "`sudo usermod -aG video $USER`, then log in again"
    else:
        message = f"{name} cannot be opened as a camera."
        remedy = "close the program that holds it (`fuser -v /dev/video*`), or try another of the camera's devices"
    return DeviceError(
        message, received=name, accepted=", ".join(devices) or "a V4L2 device; there is none here", remedy=remedy
    )
