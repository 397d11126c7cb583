"""There is no Pi where the tests run: a stand-in has what is used of picamera2's interface, and its layouts."""

import sys
import types
from concurrent.futures import TimeoutError as Late
from typing import Any

import cv2
import numpy as np
import pytest

from edgecnn.device.cameras import find_camera, open_camera
from edgecnn.device.options import CameraOptions
from edgecnn.errors import DeviceError
from edgecnn.preprocess import InputSpec, Pixels

PADDING = 32
RED = (200, 40, 30)


class StandIn:
    """picamera2 0.3.38's `Picamera2`: names, arguments, errors and array layouts as they are there; no camera."""

    found: list[dict[str, Any]]
    frames = 1000
    instances: list["StandIn"]

    @classmethod
    def global_camera_info(cls) -> list[dict[str, Any]]:
        return cls.found

    def __init__(self, camera_num: int = 0) -> None:
        if self.found[camera_num]["Id"] == "busy":
            raise RuntimeError("Camera __init__ sequence did not complete.")
        self.calls: list[str] = []
        self.config: dict[str, Any] = {}
        self.instances.append(self)

    def create_video_configuration(
        self, main: dict[str, Any], lores: dict[str, Any] | None = None, controls: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        for stream in (main, lores or main):
            assert set(stream) <= {"format", "size", "stride", "preserve_ar"}
        return {"main": dict(main), "lores": lores and dict(lores), "controls": controls}

    def configure(self, config: dict[str, Any]) -> None:
        for stream in (config["main"], config["lores"] or config["main"]):
            if stream["size"][0] % 2 or stream["size"][1] % 2:
                raise RuntimeError("width and height should be even")
        self.config = config

    def camera_configuration(self) -> dict[str, Any]:
        return self.config

    def start(self) -> None:
        self.calls.append("start")

    def close(self) -> None:
        self.calls.append("close")

    def capture_request(self, wait: float) -> "StandIn":
        assert wait > 0
        if self.calls.count("release") == self.frames:
            raise Late
        return self

    def make_array(self, name: str) -> Pixels:
        width, height = self.config[name]["size"]
        if self.config[name]["format"] == "BGR888":
            return np.full((height, width, 3), RED, np.uint8)
        padded = np.full((height, width + PADDING, 3), RED, np.uint8)
        return np.asarray(cv2.cvtColor(padded, cv2.COLOR_RGB2YUV_I420), np.uint8)

    def release(self) -> None:
        self.calls.append("release")


@pytest.fixture
def pi(monkeypatch: pytest.MonkeyPatch) -> type[StandIn]:
    class Fresh(StandIn):
        found = [{"Model": "imx708", "Id": "/base/soc/i2c0mux/i2c@1/imx708@1a", "Num": 0}]  # noqa: RUF012
        instances: list[StandIn] = []  # noqa: RUF012

    module: Any = types.ModuleType("picamera2")
    module.Picamera2 = Fresh
    monkeypatch.setitem(sys.modules, "picamera2", module)
    return Fresh


def test_without_picamera2_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(DeviceError, match="needs picamera2") as caught:
        open_camera("csi")
    assert "sudo apt install python3-picamera2" in caught.value.remedy
    assert "--system-site-packages" in caught.value.remedy


def test_frames_are_rgb_of_the_size_that_was_asked_for(pi: type[StandIn]) -> None:
    with open_camera("csi", CameraOptions(size=(720, 1280), rate=25), model=InputSpec(height=96, width=96)) as camera:
        frames = [frame for _ in range(3) if (frame := camera.read())]
    assert (camera.name, camera.live) == ("csi:0", True)
    assert frames[0].image.shape == (720, 1280, 3)
    assert frames[0].image[0, 0].tolist() == list(RED)
    (instance,) = pi.instances
    assert instance.config["controls"] == {"FrameDurationLimits": (40000, 40000)}
    assert (instance.calls[0], instance.calls[-1]) == ("start", "close")
    assert instance.calls.count("release") >= 3


@pytest.mark.parametrize(("resize", "keeps"), [("stretch", False), ("center_crop", True)])
def test_where_only_the_model_looks_the_chip_scales_to_its_size(resize: Any, keeps: bool, pi: type[StandIn]) -> None:
    with open_camera("csi", model=InputSpec(height=96, width=128, resize=resize)) as camera:
        frame = camera.read()
    assert frame
    assert frame.image.shape == (96, 128, 3)
    assert np.abs(frame.image.astype(int) - RED).max() < 8
    assert pi.instances[0].config["lores"]["preserve_ar"] == keeps
    assert pi.instances[0].config["main"]["size"] == (640, 480)


@pytest.mark.parametrize(
    ("options", "model"),
    [
        (CameraOptions(), None),
        (CameraOptions(rotation=90), InputSpec(height=96, width=96)),
        (CameraOptions(size=(480, 640)), InputSpec(height=96, width=96)),
        (CameraOptions(), InputSpec(height=97, width=97)),
        (CameraOptions(), InputSpec(height=512, width=512)),
    ],
)
def test_where_more_is_needed_it_does_not(options: CameraOptions, model: InputSpec | None, pi: type[StandIn]) -> None:
    with open_camera("csi", options, model=model) as camera:
        frame = camera.read()
    assert frame
    assert frame.image.shape in {(480, 640, 3), (640, 480, 3)}


def test_it_is_found_where_no_camera_is_named(pi: type[StandIn]) -> None:
    said: list[str] = []
    with open_camera(say=said.append):
        pass
    assert said == ["The camera is csi."]
    pi.found[0] = {"Model": "a USB camera", "Id": "/base/scb/pcie/usb-0000:1.1", "Num": 0}
    with pytest.raises(DeviceError) as caught:
        find_camera()
    assert "picamera2 finds no camera" in str(caught.value.received)


@pytest.mark.parametrize("source", ["csi:1", "csi:0"])
def test_no_such_camera_or_a_busy_one(source: str, pi: type[StandIn]) -> None:
    pi.found[0] = {"Model": "imx219", "Id": "busy", "Num": 0}
    with pytest.raises(DeviceError, match=f"{source} cannot be opened") as caught:
        open_camera(source)
    assert "rpicam-hello --list-cameras" in caught.value.remedy


def test_a_cable_that_comes_loose(pi: type[StandIn], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pi, "frames", 4)
    with open_camera("csi") as camera:
        numbers = [frame.number for _ in range(6) if (frame := camera.read())]
    assert numbers == sorted(set(numbers))
    assert [instance.calls[-1] for instance in pi.instances] == ["close"] * len(pi.instances)
    assert len(pi.instances) > 1
