import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgecnn.device.cameras import ImageFolder, Synthetic, VideoFile, open_camera
from edgecnn.device.frames import Camera, Frame
from edgecnn.errors import DeviceError
from edgecnn.shapes import CLASSES


def frames_in(camera: Camera) -> list[Frame]:
    with camera:
        return list(iter(camera.read, None))


def test_a_video_gives_every_frame_once_in_order(number_video: Path) -> None:
    camera = open_camera(str(number_video))
    frames = frames_in(camera)
    assert isinstance(camera, VideoFile)
    assert not camera.live
    assert [frame.number for frame in frames] == list(range(30))
    assert [round(frame.image.mean() / 8) for frame in frames] == list(range(30))
    assert all(frame.capture_ns > 0 and frame.source is None and frame.truth is None for frame in frames)


def test_a_video_is_rgb(write_video: Callable[..., Path]) -> None:
    red = np.zeros((48, 64, 3), np.uint8)
    red[:, :, 0] = 255
    (frame,) = frames_in(open_camera(str(write_video([red]))))
    assert frame.image.dtype == np.uint8
    assert frame.image[:, :, 0].min() > 200
    assert frame.image[:, :, 2].max() < 60


def test_a_video_is_turned_upright(write_video: Callable[..., Path]) -> None:
    path = write_video([np.zeros((48, 64, 3), np.uint8)], "lying.mp4", "mp4v")
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    assert struct.unpack_from(">i", data, matrix) == (0x10000,)
    struct.pack_into(">9i", data, matrix, 0, 0x10000, 0, -0x10000, 0, 0, 48 << 16, 0, 0x40000000)
    path.write_bytes(data)
    (frame,) = frames_in(open_camera(str(path)))
    assert frame.image.shape == (64, 48, 3)


def test_a_folder_gives_its_images_sorted_and_names_what_it_left_out(number_folder: Path) -> None:
    camera = open_camera(str(number_folder))
    frames = frames_in(camera)
    assert [frame.source for frame in frames] == ["a/0.png", "a/1.png", "a/2.png", "b/3.png", "b/4.png"]
    assert [frame.number for frame in frames] == [0, 1, 2, 3, 4]
    assert [int(frame.image[0, 0, 0]) // 8 for frame in frames] == [0, 1, 2, 3, 4]
    assert [reason.partition(":")[0] for reason in camera.left_out] == ["a/1-cut.jpg", "notes.txt"]
    assert "cut short" in camera.left_out[0]


def test_an_image_is_one_frame(number_folder: Path) -> None:
    (frame,) = frames_in(open_camera(str(number_folder / "b" / "4.png")))
    assert (frame.number, frame.source, int(frame.image[0, 0, 0])) == (0, "4.png", 32)


def test_what_a_file_is_decides_and_not_its_name(number_video: Path, number_folder: Path, tmp_path: Path) -> None:
    assert isinstance(open_camera(str(number_video.rename(tmp_path / "video.jpg"))), VideoFile)
    (tmp_path / "video.jpg").rename(number_video)
    assert isinstance(open_camera(str((number_folder / "a" / "0.png").rename(tmp_path / "image.avi"))), ImageFolder)


def test_the_scene_knows_its_truth_and_repeats_itself() -> None:
    def first(count: int) -> list[Frame]:
        with open_camera("synthetic") as camera:
            return [frame for _ in range(count) if (frame := camera.read())]

    frames, again = first(5), first(5)
    assert isinstance(open_camera("synthetic"), Synthetic)
    assert [frame.number for frame in frames] == [0, 1, 2, 3, 4]
    assert all(frame.truth in CLASSES and frame.image.shape == (480, 640, 3) for frame in frames)
    assert all(a.truth == b.truth and np.array_equal(a.image, b.image) for a, b in zip(frames, again, strict=True))


@pytest.mark.parametrize("source", ["99", "/dev/video99"])
def test_a_camera_that_is_not_there(source: str) -> None:
    with pytest.raises(DeviceError, match="no camera /dev/video99") as caught:
        open_camera(source)
    assert caught.value.exit_code == 7
    assert "synthetic" in caught.value.remedy
    assert caught.value.accepted


def test_a_device_that_is_no_camera() -> None:
    with pytest.raises(DeviceError, match="/dev/null cannot be opened as a camera"):
        open_camera("/dev/null")


@pytest.mark.parametrize("content", [b"", b"not a video " * 1000])
def test_a_file_that_is_no_video(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(content)
    with pytest.raises(DeviceError, match=r"film\.mp4 is neither an image nor a video"):
        open_camera(str(tmp_path / "film.mp4"))


def test_a_video_that_was_cut_short(number_video: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.avi").write_bytes(number_video.read_bytes()[:3000])
    with pytest.raises(DeviceError, match=r"cut\.avi"):
        open_camera(str(tmp_path / "cut.avi"))


def test_nothing_but_our_error_is_seen(number_video: Path, tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_text("not a video " * 1000)
    (tmp_path / "cut.avi").write_bytes(number_video.read_bytes()[:3000])
    program = """
import sys
from edgecnn.device import open_camera
from edgecnn.errors import DeviceError
for source in sys.argv[1:]:
    try:
        open_camera(source)
    except DeviceError as error:
        print(error.exit_code)
"""
    sources = ["99", "/dev/video99", "/dev/null", str(tmp_path / "film.mp4"), str(tmp_path / "cut.avi")]
    # A process of its own: FFmpeg is told once, before its first use, and the tests have used it.
    done = subprocess.run([sys.executable, "-c", program, *sources], capture_output=True, text=True, check=True)
    assert (done.stdout.split(), done.stderr) == (["7"] * 5, "")


def test_nothing_by_that_name() -> None:
    with pytest.raises(DeviceError, match=r"no camera, file or folder no/such\.mp4"):
        open_camera("no/such.mp4")


def test_a_folder_without_files(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="no image in"):
        open_camera(str(tmp_path))


def test_a_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not an image")
    with pytest.raises(DeviceError, match="no image in") as caught:
        frames_in(open_camera(str(tmp_path)))
    assert "notes.txt" in str(caught.value.received)


def test_an_image_that_was_cut_short(number_folder: Path) -> None:
    with pytest.raises(DeviceError, match=r"no image in .*1-cut\.jpg") as caught:
        frames_in(open_camera(str(number_folder / "a" / "1-cut.jpg")))
    assert "cut short" in str(caught.value.received)


def test_opencv_counts_the_same_frames(number_video: Path) -> None:
    capture = cv2.VideoCapture(str(number_video))
    count = 0
    while capture.read()[0]:
        count += 1
    assert count == len(frames_in(open_camera(str(number_video))))


def test_a_usb_camera_that_is_unplugged(number_video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[tuple[object, int]] = []
    capture = cv2.VideoCapture(str(number_video))

    def open_device(device: object, backend: int) -> cv2.VideoCapture:
        opened.append((device, backend))
        return capture

    monkeypatch.setattr(cv2, "VideoCapture", open_device)  # there is no camera here: a video stands in for the driver
    with open_camera("0") as camera:
        assert camera.live
        frames = [camera.read() for _ in range(30)]
        with pytest.raises(DeviceError, match="/dev/video0 stopped delivering after 30 frames"):
            camera.read()
    assert opened == [(0, cv2.CAP_V4L2)]
    assert [frame and (frame.number, round(frame.image.mean() / 8)) for frame in frames] == [(n, n) for n in range(30)]
    assert not capture.isOpened()


def test_a_text_that_is_called_an_image_ends_with_an_error_and_not_as_an_empty_film(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("These are words.\n")
    with pytest.raises(DeviceError, match=r"text\.jpg is neither an image nor a video"):
        open_camera(str(tmp_path / "text.jpg")).read()
