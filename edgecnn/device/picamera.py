"""A Raspberry Pi's own camera, on the ribbon cable, through picamera2, which comes from apt and is imported late.

Written against picamera2 0.3.38 and tested with a stand-in for it, not on a Pi.
"""

import logging
import os
import time
from concurrent.futures import TimeoutError as Late
from typing import Any, cast

import cv2

from edgecnn.device.frames import Camera, Frame
from edgecnn.device.options import NOTHING_ASKED, CameraOptions
from edgecnn.errors import DeviceError
from edgecnn.preprocess import InputSpec, Pixels

SIZE = (480, 640)


class PiCamera(Camera):
    """A camera on a Pi's ribbon cable. The chip scales each frame; which part of the sensor is read, libcamera decides.

    Where nobody but the model looks at the frames, a second stream of the model's own size is read in their place: the
    processor then neither copies large frames nor shrinks them. The chip's scaler is not the one of `InputSpec.apply`,
    so that scores may differ a little.

    Args:
        number: 0 for the first camera.
        options: size and rate are asked of the camera.
        model: what the model takes, where nobody else needs the frames.

    Raises:
        DeviceError: picamera2 is not installed, or there is no such camera, or it is busy.
    """

    live = True

    def __init__(
        self,
        number: int = 0,
        options: CameraOptions = NOTHING_ASKED,
        model: InputSpec | None = None,
    ) -> None:
        self.name, self.left_out = f"csi:{number}", []
        self._captured = 0
        self._limit_s = options.stall_s
        found = cameras()
        if number >= len(found):
            raise _no_camera(self.name, ", ".join(found) or "none found")
        try:
            self._picamera = _class()(number)
        except (RuntimeError, IndexError) as error:
            raise _no_camera(self.name, str(error)) from error
        try:
            self._stream = _configure(self._picamera, options, model)
            self._picamera.start()
        except RuntimeError as error:
            self._picamera.close()
            raise _no_camera(self.name, str(error)) from error

    def read(self) -> Frame | None:
        """Wait for the next frame; the copy out of the driver's memory is its capture time.

        Raises:
            DeviceError: none came in time.
        """
        try:
            request = self._picamera.capture_request(wait=self._limit_s)
        except (Late, RuntimeError) as error:
            raise DeviceError(
                f"The camera {self.name} stopped delivering after {self._captured} frames.",
                received=str(error) or f"no frame for {self._limit_s:g} s",
                accepted="a camera that stays connected",
                remedy="check its ribbon cable, then start the demo again",
            ) from error
        start = time.perf_counter_ns()
        try:
            image = _rgb(request.make_array(self._stream), self._picamera.camera_configuration()[self._stream])
        finally:
            request.release()
        self._captured += 1
        duration, number = time.perf_counter_ns() - start, self._captured - 1
        return Frame(number=number, image=image, captured_ns=start, capture_ns=duration, at_s=start / 1e9)

    def close(self) -> None:
        """Give the camera back."""
        self._picamera.close()


def cameras() -> list[str]:
    """The models of the cameras on ribbon cables, such as ``imx708``.

    Raises:
        DeviceError: picamera2 is not installed.
    """
    return [info["Model"] for info in _class().global_camera_info() if "/usb" not in info["Id"]]


def _class() -> Any:
    os.environ.setdefault("LIBCAMERA_LOG_LEVELS", "*:ERROR")
    try:
        from picamera2 import Picamera2
    except ImportError as error:
        raise DeviceError(
            "A Pi's own camera needs picamera2, which is not there.",
            received=str(error),
            accepted="Raspberry Pi OS with picamera2, in a virtual environment that sees the system's packages",
            remedy="sudo apt install python3-picamera2, and a new environment: python3 -m venv --system-site-packages",
        ) from error
    logging.getLogger("picamera2").setLevel(logging.CRITICAL)  # what fails is in our error
    return Picamera2


def _configure(picamera: Any, options: CameraOptions, model: InputSpec | None) -> str:
    """Ask for a size and a rate, and perhaps for a stream for the model; returns the name of the stream to read."""
    height, width = options.size or SIZE
    stream: dict[str, Any] = {"main": {"size": (width, height), "format": "BGR888"}}  # libcamera's name for RGB
    whole = options.size is None and options.region is None and options.rotation in (0, 180)
    fits = model is not None and model.height <= height and model.width <= width
    if model and whole and fits and model.height % 2 == model.width % 2 == 0:
        small = {"size": (model.width, model.height), "format": "YUV420"}  # all that a Pi 4's can be
        stream["lores"] = {**small, "preserve_ar": model.resize == "center_crop"}
    if options.rate:
        microseconds = round(1e6 / options.rate)
        stream["controls"] = {"FrameDurationLimits": (microseconds, microseconds)}
    picamera.configure(picamera.create_video_configuration(**stream))
    return "lores" if "lores" in stream else "main"


def _rgb(array: Pixels, stream: dict[str, Any]) -> Pixels:
    """RGB of a stream's array, which has rows of padding where it is YUV420."""
    if stream["format"] == "BGR888":
        return array
    width, height = stream["size"]
    return cast(Pixels, cv2.cvtColor(array, cv2.COLOR_YUV2RGB_I420))[:height, :width]


def _no_camera(name: str, received: str) -> DeviceError:
    return DeviceError(
        f"The camera {name} cannot be opened.",
        received=received,
        accepted="a camera on the ribbon cable that no other program uses",
        remedy="see `rpicam-hello --list-cameras`; close other programs; a USB camera is --camera 0",
    )
