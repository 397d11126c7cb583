import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from edgecnn.device import reconnect
from edgecnn.device.frames import Camera, Frame
from edgecnn.device.reconnect import Reconnecting
from edgecnn.errors import DeviceError

STALL_S = 0.2


class Scripted(Camera):
    """Does one thing after the other: a number is so many frames, an error is raised, an event is waited for."""

    name, live = "scripted", True

    def __init__(self, *script: int | BaseException | threading.Event) -> None:
        self.left_out: list[str] = []
        self.closed = threading.Event()
        self._script = self._steps(script)

    def _steps(self, script: tuple[int | BaseException | threading.Event, ...]) -> Iterator[Frame]:
        for step in script:
            if isinstance(step, BaseException):
                raise step
            if isinstance(step, threading.Event):
                step.wait(60)
                continue
            for number in range(step):
                time.sleep(0.005)
                image = np.full((4, 4, 3), number, np.uint8)
                yield Frame(number=number, image=image, captured_ns=time.perf_counter_ns(), capture_ns=1)

    def read(self) -> Frame | None:
        return next(self._script, None)

    def close(self) -> None:
        self.closed.set()


def script(*connections: Scripted | BaseException) -> Callable[[], Camera]:
    """What `connect` gives, one time after the other."""
    coming = iter(connections)

    def connect() -> Camera:
        connection = next(coming)
        if isinstance(connection, BaseException):
            raise connection
        return connection

    return connect


GONE = DeviceError("It is gone.", remedy="plug it in")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnect, "FIRST_DELAY_S", 0.05)
    monkeypatch.setattr(reconnect, "LONGEST_DELAY_S", 0.2)


@pytest.mark.native("what is slow is taken for a stall of 0.2 s")
def test_numbers_go_on_through_failures_of_every_kind() -> None:
    hang = threading.Event()
    connections = (Scripted(3, GONE), GONE, Scripted(GONE), Scripted(2, hang), Scripted(4))
    camera = Reconnecting("cam", script(*connections), STALL_S)
    threading.Timer(1.0, hang.set).start()
    with camera:
        frames = list(iter(camera.read, None))
    numbers = [frame.number for frame in frames]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 0
    assert numbers[-1] >= 7  # of the nine frames, one may have gone by before the first was asked for
    assert camera.notice is None
    assert all(connection.closed.is_set() for connection in connections if isinstance(connection, Scripted))


def test_what_fails_at_first_is_an_error_at_once() -> None:
    with pytest.raises(DeviceError, match="It is gone"):
        Reconnecting("cam", script(GONE), STALL_S)


def test_what_gives_no_frame_at_first_is_an_error() -> None:
    hang = threading.Event()
    with pytest.raises(DeviceError, match="cam gives no picture") as caught:
        Reconnecting("cam", script(Scripted(hang)), STALL_S)
    hang.set()
    assert (caught.value.received, caught.value.exit_code) == ("nothing for 0.4 s", 7)


def test_a_bug_is_not_tried_again() -> None:
    camera = Reconnecting("cam", script(Scripted(2, ZeroDivisionError())), STALL_S)
    with camera, pytest.raises(ZeroDivisionError):
        list(iter(camera.read, None))


def test_the_pauses_double_and_the_notice_says_when() -> None:
    attempts: list[float] = []
    first = Scripted(2, GONE)

    def connect() -> Camera:
        if first.closed.is_set():
            attempts.append(time.monotonic())
            raise GONE
        return first

    camera = Reconnecting("cam", connect, STALL_S)
    reader = threading.Thread(target=lambda: list(iter(camera.read, None)))
    reader.start()
    notices = set()
    while len(attempts) < 5:
        notices.add(camera.notice)
        time.sleep(0.005)
    camera.close()
    reader.join(30)
    assert not reader.is_alive()
    assert "cam gives no picture; trying again in 1 s" in notices
    pauses = np.diff(attempts)
    assert all(pause >= least for pause, least in zip(pauses, (0.1, 0.2, 0.2, 0.2), strict=True))


def test_threads_do_not_pile_up_behind_a_driver_that_hangs() -> None:
    hang, attempts = threading.Event(), []

    def connect() -> Camera:
        attempts.append(None)
        return Scripted(1, hang)

    camera = Reconnecting("cam", connect, STALL_S)
    assert camera.read() is not None
    reader = threading.Thread(target=camera.read)
    reader.start()
    time.sleep(1)
    assert len(attempts) == 1
    assert camera.notice == "cam gives no picture; trying again now"
    hang.set()
    reader.join(30)
    assert len(attempts) == 2
    camera.close()


def test_frames_that_came_before_the_first_read_are_not_missed() -> None:
    camera = Reconnecting("cam", script(Scripted(1000)), stall_s=5)
    assert camera.size == (4, 4)
    time.sleep(0.3)
    with camera:
        frames = [frame for _ in range(3) if (frame := camera.read())]
    assert frames[0].number == 0
    assert frames[0].image[0, 0, 0] > 5  # the newest, not the first


def test_a_slow_reader_sees_by_the_numbers_what_it_missed() -> None:
    with Reconnecting("cam", script(Scripted(1000)), stall_s=5) as camera:
        first = camera.read()
        time.sleep(0.3)
        late = camera.read()
    assert first
    assert late
    assert late.number > first.number + 5


@pytest.mark.lengthy
def test_a_process_that_ends_waits_for_a_camera_that_hangs() -> None:
    program = """
import time, numpy as np
from edgecnn.device.frames import Camera, Frame
from edgecnn.device.reconnect import Reconnecting

class Hanging(Camera):
    name, live, left_out, read_one = "hanging", True, [], False

    def read(self):
        if self.read_one:
            time.sleep(2)
            print("the read has ended", flush=True)
        self.read_one = True
        return Frame(number=0, image=np.zeros((4, 4, 3), np.uint8), captured_ns=0, capture_ns=0)

    def close(self):
        print("closed", flush=True)

Reconnecting("hanging", Hanging, stall_s=10).close()
print("the program has ended", flush=True)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == ["the program has ended", "the read has ended", "closed"]
    assert (done.returncode, done.stderr) == (0, "")
