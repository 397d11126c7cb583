from typing import Any

import cv2
import numpy as np
import pytest

from edgecnn.device.draw import annotated
from edgecnn.device.frames import Answer, Frame
from edgecnn.device.views import Controls, Run
from edgecnn.device.window import LEAST_HEIGHT, WindowView
from edgecnn.errors import DeviceError, UsageError
from edgecnn.inference import Prediction
from edgecnn.preprocess import Pixels


def answer(
    height: int = 480, width: int = 640, score: float = 0.75, known: bool = True, label: str = "heart"
) -> Answer:
    best = Prediction(index=0, label=label, score=score)
    image = np.full((height, width, 3), (200, 100, 40), np.uint8)
    return Answer(
        frame=Frame(number=0, image=image, captured_ns=0, capture_ns=0),
        predictions=(),
        steady=(best, Prediction(index=1, label="star", score=0.25)),
        shown=best if known else None,
        phases_ns=(0, 0, 0, 0),
        answered_ns=0,
        dropped=0,
    )


class Screen:
    """In the place of OpenCV's windows, which need a desktop."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pictures: list[Pixels] = []
        self.key, self.windows = -1, 0
        self.visible: float | None = 1.0
        monkeypatch.setenv("DISPLAY", ":9")
        monkeypatch.setattr(cv2, "namedWindow", self.open)
        monkeypatch.setattr(cv2, "destroyAllWindows", self.close)
        self.sizes: list[tuple[int, int]] = []
        monkeypatch.setattr(cv2, "resizeWindow", lambda name, width, height: self.sizes.append((width, height)))
        monkeypatch.setattr(cv2, "imshow", lambda name, picture: self.pictures.append(picture))
        monkeypatch.setattr(cv2, "waitKey", lambda wait_ms: self.key)
        monkeypatch.setattr(cv2, "getWindowProperty", self.look)

    def open(self, name: str, flags: int) -> None:
        self.windows += 1

    def look(self, name: str, what: int) -> float:
        if self.visible is None:
            raise cv2.error("NULL guiReceiver")
        return self.visible

    def close(self) -> None:
        self.windows = 0


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    return Screen(monkeypatch)


def begun(view: WindowView) -> Controls:
    controls = Controls()
    view.begin(Run(camera="c", runtime="r", threads=1, labels=("heart", "star"), controls=controls))
    return controls


@pytest.mark.parametrize(
    ("key", "visible"), [(ord("q"), 1.0), (ord("q") | 0x100000, 1.0), (-1, 0.0), (-1, -1.0), (-1, None)]
)
def test_the_key_q_and_a_closed_window_end_the_run(screen: Screen, key: int, visible: float | None) -> None:
    with WindowView() as view:
        controls = begun(view)
        view.show(answer())
        view.show(answer(240, 320))
        view.idle(None)
        assert screen.sizes == [(640, 480)]  # once; after that it is the user's
        assert not controls.stop
        screen.key, screen.visible = key, visible
        view.show(answer())
        assert controls.stop
        assert screen.windows == 1
    assert screen.windows == 0


def test_it_also_ends_while_nothing_comes_and_says_why(screen: Screen) -> None:
    with WindowView() as view:
        controls = begun(view)
        view.idle("no picture; trying again in 4 s")
        view.show(answer())
        view.idle("paused")
        screen.key = ord("q")
        view.idle("paused")
    assert controls.stop
    dark, shown, paused, _ = screen.pictures
    assert dark.any()  # the notice
    assert (paused[:60] != shown[:60]).any()
    assert (paused[60:] == shown[60:]).all()
    assert (shown == cv2.cvtColor(annotated(answer()), cv2.COLOR_RGB2BGR)).all()


@pytest.mark.parametrize("size", [(48, 64), (1, 1), (16, 900), (1080, 1920)])
def test_any_size_and_any_label(screen: Screen, size: tuple[int, int]) -> None:
    with WindowView() as view:
        begun(view)
        view.show(answer(*size, label="Çà et là, 猫 " * 20))
        view.idle("no picture " * 20)
    assert [picture.shape[:2] for picture in screen.pictures] == [size, size]
    height = screen.sizes[0][1]
    assert height == max(size[0], LEAST_HEIGHT)  # enlarged, to be legible


def test_without_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(DeviceError, match="no screen"), WindowView():
        pass


def test_an_opencv_without_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":9")
    with pytest.raises(UsageError, match="made without windows") as caught, WindowView():  # the one that we install
        pass
    assert "pip install opencv-python" in caught.value.remedy


def test_the_loop_ends_with_the_key(screen: Screen, number_classifier: Any, number_video: Any) -> None:
    from edgecnn.device import open_camera, run

    screen.key = ord("q")
    with open_camera(str(number_video)) as camera, WindowView() as view:
        assert run(camera, number_classifier, view=view).frames < 30
    assert len(screen.pictures) == 1
