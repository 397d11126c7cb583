import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgecnn.device import picamera, usb
from edgecnn.device.cameras import are_images, find_camera, open_camera
from edgecnn.device.frames import Camera, Frame
from edgecnn.device.options import CameraOptions, Region
from edgecnn.device.pictures import ImageFolder, Synthetic
from edgecnn.device.video import VideoFile
from edgecnn.errors import DeviceError, UsageError
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
    assert [frame.at_s for frame in frames] == pytest.approx([number / 10 for number in range(30)])
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
    with pytest.raises(DeviceError, match="/dev/null cannot be opened as a camera: it gives no pictures"):
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


@pytest.mark.lengthy
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


def test_no_name_is_not_the_current_folder() -> None:
    assert not are_images("")
    with pytest.raises(DeviceError, match="folder without a name"):
        open_camera("")


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


def test_a_text_that_is_called_an_image_ends_with_an_error_and_not_as_an_empty_film(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("These are words.\n")
    with pytest.raises(DeviceError, match=r"text\.jpg is neither an image nor a video"):
        open_camera(str(tmp_path / "text.jpg")).read()


def test_a_video_that_was_cut_in_the_middle_says_so(write_video: Callable[..., Path], tmp_path: Path) -> None:
    whole = write_video([np.full((48, 64, 3), number, np.uint8) for number in range(60)]).read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) // 2])
    camera = open_camera(str(tmp_path / "cut.avi"))
    frames = frames_in(camera)
    assert 5 < len(frames) < 50
    (said,) = camera.left_out
    assert said.startswith("cut.avi: ends after")
    assert "of 6.0 s" in said


def test_a_whole_video_says_nothing(number_video: Path) -> None:
    camera = open_camera(str(number_video))
    assert len(frames_in(camera)) == 30
    assert (camera.left_out, camera.notice, camera.read()) == ([], None, None)


@pytest.mark.parametrize("options", [CameraOptions(realtime=True), CameraOptions(rate=10)])
def test_a_video_as_a_live_source(options: CameraOptions, write_video: Callable[..., Path]) -> None:
    video = write_video([np.full((48, 64, 3), number * 8, np.uint8) for number in range(8)])  # ten a second
    camera = open_camera(str(video), options)
    frames = frames_in(camera)
    assert camera.live
    assert [round(frame.image.mean() / 8) for frame in frames] == list(range(8))
    assert frames[-1].captured_ns - frames[0].captured_ns >= 0.69e9


@pytest.mark.parametrize(("size", "shape"), [(None, (480, 640, 3)), ((96, 128), (96, 128, 3))])
def test_the_scene_as_a_live_source(size: tuple[int, int] | None, shape: tuple[int, ...]) -> None:
    with open_camera("synthetic", CameraOptions(rate=50, size=size)) as camera:
        frames = [frame for _ in range(11) if (frame := camera.read())]
    assert camera.live
    assert frames[-1].captured_ns - frames[0].captured_ns >= 0.19e9
    assert {frame.image.shape for frame in frames} == {shape}


def test_close_wakes_a_read_that_waits_for_its_time() -> None:
    camera = open_camera("synthetic", CameraOptions(rate=0.001))
    assert camera.read() is not None
    reader = threading.Thread(target=camera.read)
    reader.start()
    camera.close()
    reader.join(30)
    assert not reader.is_alive()


def test_every_source_is_turned_mirrored_and_cut(number_folder: Path, tmp_path: Path) -> None:
    picture = np.zeros((4, 6, 3), np.uint8)
    picture[0, 0] = (255, 0, 0)
    path = tmp_path / "corner.png"
    cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    options = CameraOptions(rotation=90, mirror=True, region=Region(0, 0, 2, 2))
    (frame,) = frames_in(open_camera(str(path), options))
    assert frame.image.tolist() == [[[255, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 0, 0]]]
    assert (frame.number, frame.source) == (0, "corner.png")
    camera = open_camera(str(number_folder), CameraOptions(mirror=True))
    assert len(frames_in(camera)) == 5
    assert len(camera.left_out) == 2


def test_a_region_beyond_a_frame(number_folder: Path) -> None:
    camera = open_camera(str(number_folder), CameraOptions(region=Region(32, 0, 64, 48)))
    with pytest.raises(DeviceError, match="reaches beyond") as caught:
        camera.read()
    assert "64x48" in str(caught.value.received)


@pytest.mark.parametrize(
    ("source", "options", "problems"),
    [
        ("synthetic", CameraOptions(realtime=True), ["realtime"]),
        ("VIDEO", CameraOptions(size=(480, 640)), ["size"]),
        ("VIDEO", CameraOptions(rate=5, realtime=True), ["exclude each other"]),
        ("FOLDER", CameraOptions(size=(9, 9), realtime=True), ["size is 16", "--realtime --size"]),
        ("rtsp://user:secret@127.0.0.1:9/", CameraOptions(rate=5, size=(480, 640)), ["--rate --size"]),
        ("0", CameraOptions(realtime=True), ["--realtime"]),
    ],
)
def test_options_that_do_not_fit_are_refused_all_at_once(
    source: str, options: CameraOptions, problems: list[str], number_video: Path, number_folder: Path
) -> None:
    source = source.replace("VIDEO", str(number_video)).replace("FOLDER", str(number_folder))
    with pytest.raises(UsageError) as caught:
        open_camera(source, options)
    assert all(problem in str(caught.value.received) for problem in problems)
    assert "secret" not in str(caught.value.as_json())


def test_what_fits_is_not_blamed() -> None:
    with pytest.raises(UsageError) as caught:
        open_camera("synthetic", CameraOptions(size=(480, 640), region=Region(0, 0, 1, 1), realtime=True))
    assert caught.value.message == "This cannot be asked of synthetic: --realtime."
    assert (caught.value.accepted, caught.value.remedy) == ("--rate or --size", "leave out --realtime")
    with pytest.raises(UsageError) as caught:
        open_camera("synthetic", CameraOptions(rate=0))
    assert "the rate is above 0" in str(caught.value.received)
    assert "--" not in str(caught.value.as_json())


def test_no_camera_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usb, "devices", list)
    with pytest.raises(DeviceError, match="no camera here") as caught:
        open_camera()
    assert (caught.value.exit_code, caught.value.received) == (7, "no picamera2; no /dev/video* that captures")
    assert "--camera synthetic" in caught.value.remedy


def test_the_pi_s_own_camera_is_chosen_first_and_then_a_usb_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usb, "devices", lambda: ["/dev/video2", "/dev/video4"])
    assert find_camera() == "/dev/video2"
    monkeypatch.setattr(picamera, "cameras", list)
    assert find_camera() == "/dev/video2"
    monkeypatch.setattr(picamera, "cameras", lambda: ["imx708"])
    assert find_camera() == "csi"


def test_a_password_in_an_address_that_nobody_knows_is_not_printed() -> None:
    with pytest.raises(DeviceError, match=r"rtmp://user:\*\*\*@host/live") as caught:
        open_camera("rtmp://user:secret@host/live")
    assert "secret" not in str(caught.value.as_json())
