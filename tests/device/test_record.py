import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgecnn.device import Answer, Frame, record
from edgecnn.device.draw import annotated, drawable, picture_of
from edgecnn.device.frames import Looking
from edgecnn.device.record import FPS, recording_to
from edgecnn.errors import UsageError
from edgecnn.inference import Prediction
from edgecnn.preprocess import Pixels


def answer(
    number: int = 0,
    at_s: float | None = None,
    size: tuple[int, int] = (240, 320),
    label: str = "mug",
    score: float = 0.9,
) -> Answer:
    best = Prediction(index=3, label=label, score=score)
    return Answer(
        frame=Frame(
            number=number, image=np.full((*size, 3), 20 + number * 8, np.uint8), captured_ns=0, capture_ns=0, at_s=at_s
        ),
        predictions=(best,),
        steady=(best, Prediction(index=1, label="cup", score=0.1)),
        shown=best,
        phases_ns=(0, 0, 0, 0),
        answered_ns=0,
        dropped=0,
    )


def frames(path: Path) -> Iterator[Pixels]:
    capture = cv2.VideoCapture(str(path))
    assert capture.isOpened()
    assert capture.get(cv2.CAP_PROP_FPS) == FPS
    while (read := capture.read())[0]:
        yield read[1]  # type: ignore[misc]


def brightness(path: Path) -> list[int]:
    """The number in the upper half of each frame."""
    return [round((float(image[: image.shape[0] // 4].mean()) - 20) / 8) for image in frames(path)]


def recorded(path: Path, *answers: Answer, live: bool = False) -> Path:
    with recording_to(path, live=live) as write:
        for each in answers:
            write(each)
    return path


@pytest.mark.parametrize("name", ["demo.mp4", "demo.avi", "demo.MKV"])
def test_every_frame_of_a_file_is_in_the_video_as_long_as_it_lasts(tmp_path: Path, name: str) -> None:
    path = recorded(tmp_path / name, *(answer(number, at_s=number / 12.5) for number in range(5)))
    assert brightness(path) == [0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert list(tmp_path.iterdir()) == [path]


def test_an_image_without_a_time_is_seen_for_a_second(tmp_path: Path) -> None:
    assert brightness(recorded(tmp_path / "a.avi", answer(0), answer(1))) == [0] * FPS + [1] * FPS


def test_a_gap_in_time_is_left_out(tmp_path: Path) -> None:
    times = (100.0, 100.04, 4000.0, 4000.04, 3.0)
    path = recorded(tmp_path / "a.avi", *(answer(number, at_s) for number, at_s in enumerate(times)))
    assert brightness(path) == [0, 1, 2, 3, 4]


def test_frames_that_change_size_and_odd_sizes(tmp_path: Path) -> None:
    sizes = ((241, 321), (480, 640), (10, 10))
    path = recorded(tmp_path / "a.mp4", *(answer(n, n / FPS, size) for n, size in enumerate(sizes)))
    assert [image.shape for image in frames(path)] == [(240, 320, 3)] * 3


def test_a_live_camera_is_never_kept_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()

    def slow(each: Answer) -> Pixels:
        go.wait(30)
        return annotated(each)

    monkeypatch.setattr(record, "annotated", slow)
    with recording_to(tmp_path / "a.avi", live=True) as write:
        for number in range(100):
            write(answer(number % 20, at_s=number / FPS))
        go.set()
    assert 1 <= len(set(brightness(tmp_path / "a.avi"))) <= 12


@pytest.mark.lengthy
def test_a_disk_that_is_all_but_full_ends_it_and_what_there_was_is_whole(tmp_path: Path) -> None:
    apart = ["unshare", "--map-root-user", "--mount"]
    if not shutil.which(apart[0]) or subprocess.run([*apart, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this system gives no mount namespace of its own")
    size = record.LEAST_FREE_BYTES + 3_000_000
    code = f"""
import subprocess
from dataclasses import replace
from pathlib import Path
import cv2, numpy as np
from edgecnn.device.record import recording_to
from edgecnn.errors import DeviceError
from tests.device.test_record import answer
subprocess.run(["mount", "-t", "tmpfs", "-o", "size={size}", "tmpfs", {str(tmp_path)!r}], check=True)
path, noise = Path({str(tmp_path)!r}) / "a.avi", np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
try:
    with recording_to(path, live=False) as write:
        for number in range(1000):
            each = answer(number % 20, at_s=number / 25)
            write(replace(each, frame=replace(each.frame, image=noise)))
except DeviceError as error:
    capture, frames = cv2.VideoCapture(str(path)), 0
    while capture.read()[0]:
        frames += 1
    print(error.message, frames, [each.name for each in path.parent.iterdir()])
"""
    done = subprocess.run(
        [*apart, sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    said = re.fullmatch(r"The disk is all but full: .* ends here\. (\d+) \['a\.avi'\]\n", done.stdout)
    assert said, done.stderr
    assert 3 <= int(said[1]) <= 60


def test_nothing_recorded_leaves_nothing(tmp_path: Path) -> None:
    recorded(tmp_path / "a.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["demo", "demo.txt", "file/demo.mp4"])
def test_not_a_place_for_a_video(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError), recording_to(tmp_path / name, live=True):
        pass


def test_what_is_drawn_is_as_large_as_the_frame_and_leaves_the_frame_alone() -> None:
    for size in ((240, 320), (1080, 1920), (8, 8), (700, 90)):
        each = answer(size=size)
        before = each.frame.image.copy()
        image = annotated(each)
        assert image.shape == before.shape
        assert np.array_equal(each.frame.image, before)
        assert not np.array_equal(image, before)


def test_where_the_network_looks_is_warm_and_the_rest_as_it_was() -> None:
    each = answer(number=10, size=(100, 200))
    looking = Looking(map=np.array([[1, 0], [0, 0]], np.float32), region=(0, 50, 100, 100))
    image = picture_of(replace(each, looking=looking)).astype(int)
    change = np.abs(image - each.frame.image).sum(axis=2)
    assert change[:, :50].max() == change[:, 150:].max() == 0
    assert change[10, 60] > 100
    assert image[10, 60, 0] > image[10, 60, 2]
    assert change[90, 140] < 5
    assert picture_of(each) is each.frame.image


@pytest.mark.parametrize("score", [float("nan"), -3.0, 7.5])
def test_a_score_that_is_no_share(score: float) -> None:
    assert annotated(answer(score=score)).shape == (240, 320, 3)
    assert annotated(replace(answer(), shown=None)).shape == (240, 320, 3)


@pytest.mark.parametrize(("label", "drawn"), [("Crème brûlée", "Creme brulee"), ("小猫", "class 3"), ("mug", "mug")])
def test_a_label_is_drawn_with_the_letters_that_there_are(label: str, drawn: str) -> None:
    assert drawable(Prediction(index=3, label=label, score=1.0)) == drawn
