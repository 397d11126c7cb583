"""A live camera that comes back: whatever it is, it is opened again when it stalls, fails or goes away."""

import atexit
import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from edgecnn.device.frames import Camera, Frame
from edgecnn.errors import DeviceError

FIRST_DELAY_S, LONGEST_DELAY_S = 0.5, 30.0
CLOSE_S = 1.0


class Reconnecting(Camera):
    """A live camera, read in a thread of its own, so that no driver and no network can hold up `read` or `close`.

    The camera is opened here, and has delivered a frame when it is: what fails then is an error at once. Later it is
    opened again, for ever, after a pause of `FIRST_DELAY_S` that doubles up to `LONGEST_DELAY_S`, while ``notice`` says
    so. It counts as stalled after ``stall_s`` without a frame; opening may take twice as long. Frame numbers go on. A
    new attempt waits until the thread of the last one has let go of the device: threads never pile up.

    Args:
        name: what the notice and the errors call it.
        connect: opens the camera; its ``read`` returns None where the camera ends for good.
        stall_s: seconds.

    Raises:
        DeviceError: the camera cannot be opened, or gives no frame.
    """

    live = True

    def __init__(self, name: str, connect: Callable[[], Camera], stall_s: float = 5.0) -> None:
        self.name, self.left_out = name, []
        self._connect, self._stall_s = connect, stall_s
        self._changed = threading.Condition()
        self._slot: Frame | None = None
        self._captured = 0
        self._reading = self._closed = False
        self._delay_s = FIRST_DELAY_S
        self._next_try = 0.0
        self._link = _Link(self)
        with self._changed:
            self._changed.wait_for(lambda: self._slot is not None or self._link.ended, 2 * stall_s)
        if self._slot is None:
            self.close()
            raise self._link.error or _no_picture(name, 2 * stall_s)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the newest frame that was not read yet; of the first, right after opening."""
        with self._changed:
            return (0, 0) if self._slot is None else self._slot.image.shape[:2]

    def read(self) -> Frame | None:
        """Wait for the newest frame, through as many attempts as it takes; None at the end, and once it was closed."""
        with self._changed:
            if not self._reading:  # what came before anybody asked is not counted as missed
                self._reading, self._captured = True, 0
                self._slot = self._slot and replace(self._slot, number=0)
                self._captured += self._slot is not None
            while self._slot is None and not self._closed and not self._link.finished:
                self._changed.wait(self._tend())
            frame, self._slot = self._slot, None
            return None if self._closed else frame

    def close(self) -> None:
        """Wake a read that waits, and let go of the camera; one that hangs is left to its thread after a second.

        Where it still hangs when the process ends, that waits for the camera's own time limits: C++ that comes back to
        an interpreter that is gone aborts the process.
        """
        with self._changed:
            self._closed = self._link.abandoned = True
            self._changed.notify_all()
        self._link.thread.join(CLOSE_S)
        if self._link.thread.is_alive():
            atexit.register(_wait_for, self._link.thread, 2 * self._stall_s)

    def _tend(self) -> float:
        """Do what is due about the connection; returns the seconds until there may be more to do."""
        now, link = time.monotonic(), self._link
        if link.error is not None and not isinstance(link.error, DeviceError):
            raise link.error  # a bug, which no second attempt repairs
        if not link.abandoned:
            if not link.ended and now < link.deadline:
                return link.deadline - now
            link.abandoned = True
            if link.delivered_s > self._stall_s:
                self._delay_s = FIRST_DELAY_S
            self._next_try = now + self._delay_s
            self._delay_s = min(2 * self._delay_s, LONGEST_DELAY_S)
        if now < self._next_try or link.thread.is_alive():
            left = math.ceil(self._next_try - now)
            self.notice = f"{self.name} gives no picture; trying again {f'in {left} s' if left > 0 else 'now'}"
            return min(max(self._next_try - now, 0.1), 1.0)
        self.notice = f"{self.name} gives no picture; trying again now"
        self._link = _Link(self)
        return 0.1

    def _put(self, link: "_Link", frame: Frame) -> None:
        with self._changed:
            if not link.abandoned:
                self._slot = replace(frame, number=self._captured)
                self._captured += 1
                self.notice = None
                self._changed.notify_all()

    def _ended(self) -> None:
        with self._changed:
            self._changed.notify_all()


class _Link:
    """One connection, from its opening to its end, in its own thread."""

    def __init__(self, owner: Reconnecting) -> None:
        self.error: BaseException | None = None
        self.abandoned = self.ended = self.finished = False
        self.deadline = time.monotonic() + 2 * owner._stall_s
        self._first: float | None = None
        self.delivered_s = 0.0
        self._owner = owner
        # A daemon, so that a driver that hangs cannot keep the process alive.
        self.thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            with self._owner._connect() as camera:
                while not self.abandoned and (frame := camera.read()) is not None:
                    now = time.monotonic()
                    self._first = self._first or now
                    self.delivered_s, self.deadline = now - self._first, now + self._owner._stall_s
                    self._owner._put(self, frame)
                self.finished = not self.abandoned
        except BaseException as error:  # whatever it is, it belongs to whoever reads
            self.error = error
        finally:
            self.ended = True
            self._owner._ended()


def _wait_for(thread: threading.Thread, seconds: float) -> None:
    with suppress(KeyboardInterrupt):
        thread.join(seconds)


def _no_picture(name: str, seconds: float) -> DeviceError:
    return DeviceError(
        f"{name} gives no picture.",
        received=f"nothing for {seconds:g} s",
        accepted="a camera or a stream that delivers frames",
        remedy="check that it is switched on and sends (another program may show it), then start the demo again",
    )
