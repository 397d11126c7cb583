"""There is no V4L2 device where the tests run: a video stands in for the driver, under the real OpenCV."""

import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from edgecnn.device import usb
from edgecnn.device.cameras import open_camera
from edgecnn.device.options import CameraOptions
from edgecnn.errors import DeviceError

Opened = list[tuple[object, int]]


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch, number_video: Path) -> Opened:
    """What was opened: the first time a video of 30 frames, then nothing twice, then the video again."""
    opened: Opened = []
    real = cv2.VideoCapture

    def open_device(device: object, backend: int) -> cv2.VideoCapture:
        opened.append((device, backend))
        return real("" if len(opened) in (2, 3) else str(number_video))

    monkeypatch.setattr(cv2, "VideoCapture", open_device)
    return opened


def test_a_usb_camera_by_itself_says_when_it_is_unplugged(driver: Opened) -> None:
    with usb.UsbCamera(0) as camera:
        frames = [camera.read() for _ in range(30)]
        with pytest.raises(DeviceError, match="/dev/video0 stopped delivering after 30 frames"):
            camera.read()
    assert driver == [(0, cv2.CAP_V4L2)]
    assert [frame and (frame.number, round(frame.image.mean() / 8)) for frame in frames] == [(n, n) for n in range(30)]
    assert camera.read() is None


def test_a_usb_camera_that_is_unplugged_and_comes_back(driver: Opened) -> None:
    said: list[str] = []
    with open_camera("0", CameraOptions(size=(480, 640)), say=said.append) as camera:
        assert camera.live
        numbers = []
        while len(driver) < 4:  # the third attempt to come back succeeds
            frame = camera.read()
            assert frame is not None
            numbers.append(frame.number)
        numbers += [frame.number for _ in range(5) if (frame := camera.read())]
    assert numbers == sorted(set(numbers))
    assert driver == [(0, cv2.CAP_V4L2)] * len(driver)
    assert said == ["/dev/video0 was asked for 640x480 and gives 64x48."]


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        (CameraOptions(), {}),
        (CameraOptions(size=(480, 640), rate=30), {"WIDTH": 640, "HEIGHT": 480, "FPS": 30}),
        (CameraOptions(size=(720, 1280)), {"FOURCC": cv2.VideoWriter.fourcc(*"MJPG"), "WIDTH": 1280, "HEIGHT": 720}),
        (CameraOptions(rate=60), {"FOURCC": cv2.VideoWriter.fourcc(*"MJPG"), "FPS": 60}),
    ],
)
def test_what_is_asked_of_the_driver(
    options: CameraOptions, asked: dict[str, float], monkeypatch: pytest.MonkeyPatch, number_video: Path
) -> None:
    told: dict[int, float] = {}

    class Told:  # no subclass of OpenCV's class: to free one of those corrupts the heap
        def __init__(self, *_: object) -> None:
            self.isOpened, self.release = capture.isOpened, capture.release

        def set(self, key: int, value: float) -> bool:
            told[key] = value
            return True

    capture = cv2.VideoCapture(str(number_video))
    monkeypatch.setattr(cv2, "VideoCapture", Told)
    usb.UsbCamera(0, options).close()
    names = {"FOURCC": 6, "WIDTH": 3, "HEIGHT": 4, "FPS": 5}
    assert told == {cv2.CAP_PROP_BUFFERSIZE: 1, **{names[name]: value for name, value in asked.items()}}
    assert not asked or next(iter(told)) == names[next(iter(asked))]  # the format first: the sizes depend on it


@pytest.mark.native("under qemu-user /proc is that of the emulated board, which has no processes")
def test_who_holds_a_device(tmp_path: Path) -> None:
    device = tmp_path / "video0"
    device.touch()
    program = f"file = open({str(device)!r}); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        (holder,) = usb.holders(str(device))
        process.kill()
    assert holder.endswith(f"({process.pid})")
    assert usb.holders(str(device)) == []


def test_a_busy_device_is_named_with_its_holder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usb, "_captures", lambda path: True)
    monkeypatch.setattr(usb, "holders", lambda path: ["cheese (77)"])
    with pytest.raises(DeviceError, match=r"/dev/null is busy: cheese \(77\) has it open"):
        open_camera("/dev/null")


@pytest.mark.parametrize(
    ("driver", "capabilities", "device", "captures"),
    [
        (b"uvcvideo", 0x84A00001, 0x04200001, True),
        (b"uvcvideo", 0x84A00001, 0x04A00000, False),  # the device for metadata beside it
        (b"old", 0x04000001, 0, True),
        (b"bcm2835-isp", 0x84A00001, 0x04200001, False),
        (b"unicam", 0x85A00001, 0x05200001, False),
    ],
)
def test_which_devices_capture(
    driver: bytes, capabilities: int, device: int, captures: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(descriptor: int, request: int, into: bytearray) -> int:
        assert request == 0x80685600
        into[:] = usb._CAPABILITY.pack(driver, b"card", b"bus", 0x060000, capabilities, device)
        return 0

    monkeypatch.setattr("fcntl.ioctl", answer)
    assert usb._captures("/dev/null") == captures


def test_devices_that_do_not_answer_do_not_capture(tmp_path: Path) -> None:
    assert not usb._captures("/dev/null")
    assert not usb._captures(str(tmp_path / "none"))
