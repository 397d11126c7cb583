import io
import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from servers import Request, RtspServer, grey, http_server

from edgecnn.device.cameras import open_camera
from edgecnn.device.frames import Camera, Frame
from edgecnn.device.options import CameraOptions
from edgecnn.device.streams import public
from edgecnn.errors import DeviceError
from edgecnn.preprocess import Pixels

IMPATIENT = CameraOptions(stall_s=0.5)


def endless(request: Request) -> None:
    request.frames(grey(number % 30) for number in itertools.count())


def read(camera: Camera, count: int) -> list[Frame]:
    frames = [frame for _ in range(count) if (frame := camera.read()) is not None]
    assert len(frames) == count
    return frames


class Reader(threading.Thread):
    """Reads a camera to its end, as the loop does; ``last`` is the newest frame."""

    def __init__(self, camera: Camera) -> None:
        super().__init__(daemon=True)
        self.camera, self.last = camera, read(camera, 1)[0]
        self.start()

    def run(self) -> None:
        while (frame := self.camera.read()) is not None:
            self.last = frame

    def until_notice(self) -> str:
        until(lambda: self.camera.notice is not None)
        return str(self.camera.notice)

    def until_it_goes_on(self) -> None:
        before = self.last.number
        until(lambda: self.camera.notice is None and self.last.number > before + 3)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def rtsp() -> Iterator[RtspServer]:
    server = RtspServer()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def guarded_rtsp() -> Iterator[RtspServer]:
    server = RtspServer(password="secret")
    yield server
    server.kill()


@pytest.mark.gst_rtsp_server
def test_rtsp_with_a_password_that_nobody_sees(guarded_rtsp: RtspServer) -> None:
    with open_camera(guarded_rtsp.url("user:secret@")) as camera:
        frames = read(camera, 5)
    assert camera.live
    assert camera.name == f"rtsp://user:***@127.0.0.1:{guarded_rtsp.port}/live"
    assert [frame.number for frame in frames] == sorted({frame.number for frame in frames})
    assert all(frame.image.shape == (240, 320, 3) for frame in frames)
    top_left, bottom_left = frames[0].image[10, 3], frames[0].image[235, 3]
    assert top_left.min() > 150  # the colour bars begin with grey, and below them is blue
    assert bottom_left[2] > bottom_left[0] + 50


@pytest.mark.gst_rtsp_server
@pytest.mark.parametrize("credentials", ["user:wrong@", "other:secret@", ""])
def test_rtsp_with_a_wrong_password(credentials: str, guarded_rtsp: RtspServer) -> None:
    with pytest.raises(DeviceError, match=r"refuses the user or the password \(401\)") as caught:
        open_camera(guarded_rtsp.url(credentials))
    assert caught.value.exit_code == 7
    assert "wrong" not in str(caught.value.as_json())


@pytest.mark.gst_rtsp_server
def test_rtsp_without_that_path(guarded_rtsp: RtspServer) -> None:
    with pytest.raises(DeviceError, match=r"is not there \(404\)"):
        open_camera(guarded_rtsp.url("user:secret@", path="other"))


@pytest.mark.gst_rtsp_server
def test_rtsp_whose_server_is_killed_and_comes_back(rtsp: RtspServer) -> None:
    with open_camera(rtsp.url("user:secret@")) as camera:
        reader = Reader(camera)
        rtsp.kill()
        notice = reader.until_notice()
        assert notice.startswith(f"rtsp://user:***@127.0.0.1:{rtsp.port}/live gives no picture; trying again")
        rtsp.start()
        reader.until_it_goes_on()
    reader.join(30)
    assert not reader.is_alive()


@pytest.mark.gst_rtsp_server
def test_rtsp_that_stalls_goes_on(rtsp: RtspServer) -> None:
    with open_camera(rtsp.url(), CameraOptions(stall_s=1)) as camera:
        reader = Reader(camera)
        rtsp.freeze()
        assert "trying again" in reader.until_notice()
        rtsp.thaw()
        reader.until_it_goes_on()


def test_mjpeg_over_http_with_a_password() -> None:
    with http_server(endless, password="secret") as port:
        with open_camera(f"http://user:secret@127.0.0.1:{port}/video") as camera:
            frames = read(camera, 5)
        with pytest.raises(DeviceError, match=r"http://user:\*\*\*@.* refuses the user or the password \(401\)"):
            open_camera(f"http://user:secret-too@127.0.0.1:{port}/video")
    assert camera.name == f"http://user:***@127.0.0.1:{port}/video"
    assert frames[0].number == 0
    assert all(frame.image.shape == (48, 64, 3) for frame in frames)


def test_http_whose_server_goes_and_comes_back() -> None:
    going = threading.Event()

    def until_it_goes(request: Request) -> None:
        request.frames(itertools.takewhile(lambda _: not going.is_set(), itertools.cycle([grey(3)])))

    with http_server(until_it_goes) as port:
        camera = open_camera(f"http://127.0.0.1:{port}/")
        reader = Reader(camera)
        going.set()
    with camera:
        assert "trying again" in reader.until_notice()
        with http_server(endless, port=port):
            reader.until_it_goes_on()
            camera.close()


def test_frames_that_change_size() -> None:
    def changing(request: Request) -> None:
        sizes = itertools.chain(itertools.repeat((48, 64), 20), itertools.repeat((96, 160)))
        request.frames(grey(4, *size) for size in sizes)

    with http_server(changing) as port, open_camera(f"http://127.0.0.1:{port}/") as camera:
        frames = read(camera, 40)
    assert all(frame.image.shape == (48, 64, 3) and abs(frame.image.mean() - 32) < 4 for frame in frames)


def test_http_that_sends_no_video() -> None:
    def page(request: Request) -> None:
        request.send_response(200)
        request.end_headers()
        request.wfile.write(b"<html>a page</html>" * 100)

    with http_server(page) as port, pytest.raises(DeviceError, match=r"cannot be opened as a video"):
        open_camera(f"http://127.0.0.1:{port}/")


def test_http_that_sends_nothing_at_all() -> None:
    hold = threading.Event()
    with http_server(lambda request: hold.wait(10) and None) as port:
        with pytest.raises(DeviceError, match=r"gives no picture|cannot be opened"):
            open_camera(f"http://127.0.0.1:{port}/", IMPATIENT)
        hold.set()


def test_a_film_on_a_web_server_ends(write_video: Callable[..., Path]) -> None:
    film = write_video([grey(number) for number in range(8)]).read_bytes()

    def send(request: Request) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(film)))
        request.end_headers()
        request.wfile.write(film)

    with http_server(send) as port, open_camera(f"http://127.0.0.1:{port}/film.avi") as camera:
        images = [frame.image for frame in iter(camera.read, None)]
        assert camera.read() is None
    assert round(float(images[-1].mean()) / 8) == 7


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("rtsp://user:secret@127.0.0.1:9/live", "Nothing listens at rtsp://user:[*]{3}@127.0.0.1:9/live"),
        ("http://127.0.0.1:9/", "Nothing listens at http://127.0.0.1:9/"),
        ("rtsp://camera.invalid/live", "The host of rtsp://camera.invalid/live is not known"),
    ],
)
@pytest.mark.lengthy
def test_a_stream_that_is_not_there(url: str, message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        open_camera(url)


@pytest.mark.lengthy
@pytest.mark.parametrize(("writer", "message"), [(False, "has no writer"), (True, "gives no picture")])
def test_a_fifo_that_never_delivers(writer: bool, message: str, tmp_path: Path) -> None:
    fifo = tmp_path / "camera.fifo"
    program = f"""
import os
from edgecnn.device import CameraOptions, open_camera
from edgecnn.errors import DeviceError
os.mkfifo({str(fifo)!r})
silent = os.open({str(fifo)!r}, os.O_RDWR) if {writer} else None
try:
    open_camera({str(fifo)!r}, CameraOptions(stall_s=0.2))
except DeviceError as error:
    print(error)
"""  # in a process of its own, which can end although a thread waits in the kernel: that is half of what is tested
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == (f"{fifo} {message}.\n", "", 0)


def test_a_fifo_that_delivers(tmp_path: Path) -> None:
    fifo = tmp_path / "camera.fifo"
    os.mkfifo(fifo)
    jpegs = io.BytesIO()
    for number in range(30):
        jpegs.write(cv2.imencode(".jpg", grey(number))[1].tobytes())

    def feed() -> None:
        with fifo.open("wb") as file:
            file.write(jpegs.getvalue() * 4)

    feeder = threading.Thread(target=feed)
    feeder.start()
    with open_camera(str(fifo), IMPATIENT) as camera:
        frame = read(camera, 1)[0]
    feeder.join()
    assert frame.image.shape == (48, 64, 3)


def test_a_fifo_with_an_mp4_says_what_it_can_stream(tmp_path: Path, write_video: Callable[..., Path]) -> None:
    fifo, noise = tmp_path / "camera.fifo", np.random.default_rng(0)
    images = [noise.integers(0, 256, (240, 320, 3), np.uint8) for _ in range(60)]  # what fits into a buffer would play
    film = write_video(images, "film.mp4", "mp4v")
    os.mkfifo(fifo)

    def feed() -> None:
        with suppress(BrokenPipeError), fifo.open("wb") as file:
            file.write(film.read_bytes())

    feeder = threading.Thread(target=feed)
    feeder.start()
    with pytest.raises(DeviceError) as caught:
        open_camera(str(fifo), IMPATIENT)
    feeder.join()
    assert "MP4 cannot" in str(caught.value.accepted)
    assert "-f mpegts" in caught.value.remedy
    assert caught.value.received == "an end before the first frame"


def test_close_wakes_a_read_that_waits() -> None:
    hold = threading.Event()

    def some_frames_then_silence(request: Request) -> None:
        request.frames(grey(5) for _ in range(10))
        hold.wait(60)

    with http_server(some_frames_then_silence) as port:
        camera = open_camera(f"http://127.0.0.1:{port}/", CameraOptions(stall_s=60))
        reader = Reader(camera)
        time.sleep(0.5)
        assert reader.is_alive()
        camera.close()
        reader.join(30)
        assert not reader.is_alive()  # although the server says nothing for 60 s
        hold.set()
    assert camera.read() is None


@pytest.mark.parametrize(
    ("url", "printed"),
    [
        ("rtsp://user:secret@host:554/a", "rtsp://user:***@host:554/a"),
        ("rtsp://user:se@cr/et@host/a", "rtsp://user:***@host/a"),
        ("http://host/v?user=admin&pwd=secret&size=2", "http://host/v?user=admin&pwd=***&size=2"),
        ("http://host/v?access_token=secret", "http://host/v?access_token=***"),
        ("rtsp://host/a", "rtsp://host/a"),
        ("rtsp://[::1]:554/a", "rtsp://[::1]:554/a"),
        ("film@home.mp4", "film@home.mp4"),
    ],
)
def test_what_of_a_url_is_printed(url: str, printed: str) -> None:
    assert public(url) == printed


def test_an_image_of_zeros_is_an_image() -> None:
    black: Pixels = np.zeros((48, 64, 3), np.uint8)
    serve = http_server(lambda request: request.frames(itertools.repeat(black)))
    with serve as port, open_camera(f"http://127.0.0.1:{port}/") as camera:
        assert read(camera, 3)[-1].image.max() == 0
