"""The two ways in which the loop takes frames: every one of a file, the latest one of a live camera."""

import threading
from types import TracebackType

from edgecnn.device.frames import Camera, Frame


class EveryFrame:
    """Takes each frame of a camera once, in order. ``captured`` counts them."""

    dropped = 0

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self.captured = 0

    def __enter__(self) -> "EveryFrame":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def take(self) -> Frame | None:
        """The next frame, None at the end."""
        frame = self._camera.read()
        self.captured += frame is not None
        return frame


class LatestFrame:
    """Captures in a thread into a slot for one frame, so that a slow reader gets the newest and nothing queues up.

    ``dropped`` counts the frames that had been replaced when the last one was taken. ``captured`` counts all; it is
    final when the ``with`` is left, for then the thread has ended.
    """

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self.captured = self.dropped = self._replaced = 0
        self._slot: Frame | None = None
        self._changed = threading.Condition()
        self._stop = self._ended = False
        self._error: BaseException | None = None
        # A daemon, so that a driver that hangs in a read cannot keep the process alive.
        self._thread = threading.Thread(target=self._capture, name="capture", daemon=True)

    def __enter__(self) -> "LatestFrame":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop = True
        self._thread.join()

    def take(self) -> Frame | None:
        """Wait for a frame that was not taken yet; None when the camera has ended, its error when it failed."""
        with self._changed:
            self._changed.wait_for(lambda: self._slot is not None or self._ended)
            frame, self._slot = self._slot, None
            self.dropped = self._replaced
        if frame is None and self._error is not None:
            raise self._error
        return frame

    def _capture(self) -> None:
        try:
            while not self._stop and (frame := self._camera.read()) is not None:
                with self._changed:
                    self._replaced += self._slot is not None
                    self._slot = frame
                    self.captured += 1
                    self._changed.notify()
        except BaseException as error:  # whatever it is, it belongs to the main thread, which raises it in `take`
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify()


def frames_of(camera: Camera) -> EveryFrame | LatestFrame:
    """The way of taking frames that suits a camera."""
    return LatestFrame(camera) if camera.live else EveryFrame(camera)
