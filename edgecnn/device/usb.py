"""A USB camera, or whatever else speaks V4L2: opening it, finding one, and why it does not open."""

import fcntl
import os
import struct
from contextlib import suppress
from pathlib import Path

import cv2

from edgecnn.device.frames import Frame
from edgecnn.device.opencv import Capture, Undecodable
from edgecnn.device.options import NOTHING_ASKED, CameraOptions
from edgecnn.errors import DeviceError

RAW_LIMIT = 640 * 480 * 30  # pixels a second: about what fits through USB 2 as YUYV
# What a Raspberry Pi's own chips show as video devices: no camera that gives pictures by itself.
PI_DRIVERS = {"unicam", "bcm2835-codec", "bcm2835-isp", "pispbe", "rp1-cfe", "rpivid", "hevc_d"}

_VIDIOC_QUERYCAP = 0x80685600
_CAPABILITY = struct.Struct("=16s32s32s3I12x")
_VIDEO_CAPTURE, _DEVICE_CAPS = 0x1, 0x80000000


class UsbCamera(Capture):
    """A live V4L2 camera, by number (``0``) or by path (``/dev/video0``, ``/dev/v4l/by-id/...``).

    Where more pixels a second are asked for than USB 2 carries raw, it is asked for MJPG.

    Raises:
        DeviceError: there is no such camera, or it cannot be opened; the message says why as far as the system tells.
    """

    live = True

    def __init__(self, device: int | str, options: CameraOptions = NOTHING_ASKED) -> None:
        super().__init__(device_path(device), device, cv2.CAP_V4L2)
        if not self.capture.isOpened():
            raise _no_camera(self.name)
        (height, width), rate = options.size or (480, 640), options.rate or 30
        if height * width * rate > RAW_LIMIT:
            self.capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        if options.size:
            self.capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
            self.capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
        if options.rate:
            self.capture.set(cv2.CAP_PROP_FPS, options.rate)
        self.capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the driver, too, keeps the latest frame and no queue

    def read(self) -> Frame | None:
        """Wait for the next frame; the wait is not part of the capture time, the decoding is.

        Raises:
            DeviceError: the camera stopped delivering.
        """
        try:
            frame = self.grab(wait=True)
        except Undecodable:
            frame = None
        if frame is None and not self.closed:
            raise DeviceError(
                f"The camera {self.name} stopped delivering after {self.captured} frames.",
                received="no frame",
                accepted="a camera that stays connected",
                remedy="check its cable and its power (`dmesg | tail`), then start the demo again",
            )
        return frame


def device_path(device: int | str) -> str:
    """``/dev/video0`` for 0; a path as it is."""
    return f"/dev/video{device}" if isinstance(device, int) else device


def devices() -> list[str]:
    """The paths of all V4L2 devices that can capture, the lowest number first."""
    paths = sorted(Path("/dev").glob("video*"), key=lambda path: (len(path.name), path.name))
    return [str(path) for path in paths if _captures(str(path))]


def _captures(path: str) -> bool:
    """Whether a device gives pictures. A USB camera has devices beside the first, for metadata, that give none."""
    answer = bytearray(_CAPABILITY.size)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.ioctl(descriptor, _VIDIOC_QUERYCAP, answer)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    driver, _, _, _, capabilities, device = _CAPABILITY.unpack(answer)
    if driver.rstrip(b"\0").decode(errors="replace") in PI_DRIVERS:
        return False
    return bool((device if capabilities & _DEVICE_CAPS else capabilities) & _VIDEO_CAPTURE)


def holders(path: str) -> list[str]:
    """The other programs that have a device open, as ``name (pid)``, as far as this user may see."""
    found, real = [], os.path.realpath(path)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if int(process.name) != os.getpid() and _has_open(process, real):
                found.append(f"{process.joinpath('comm').read_text().strip()} ({process.name})")
        except OSError:
            continue  # it ended, or is another user's
    return found


def _has_open(process: Path, path: str) -> bool:
    for file in process.joinpath("fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            if str(file.readlink()) == path:
                return True
    return False


def _no_camera(path: str) -> DeviceError:
    """Why a device cannot be opened, as far as the system tells."""
    if not Path(path).exists():
        message = f"There is no camera {path}."
        remedy = "see `v4l2-ctl --list-devices`, or try --camera synthetic"
    elif not os.access(path, os.R_OK | os.W_OK):
        message = f"This user may not open {path}."
        remedy = "`sudo usermod -aG video $USER`, then log in again"
    elif not _captures(path):
        message = f"{path} cannot be opened as a camera: it gives no pictures."
        remedy = "try another of the camera's devices (`v4l2-ctl --list-devices`); a Pi's own camera is --camera csi"
    else:
        programs = holders(path)
        message = f"{path} is busy" + (f": {', '.join(programs)} has it open." if programs else ", or does not answer.")
        remedy = "close the program that holds it (`sudo fuser -v /dev/video*`), or plug the camera in anew"
    accepted = ", ".join(devices()) or "a V4L2 device that captures; there is none here"
    return DeviceError(message, received=path, accepted=accepted, remedy=remedy)
