"""Cameras around a camera: one that turns and cuts every picture, one that keeps a pace."""

import threading
import time
from dataclasses import replace

from edgecnn.device.frames import Camera, Frame
from edgecnn.device.options import CameraOptions


class Wrapped(Camera):
    """Another camera, as it is; the base of those that change something."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self.name, self.live, self.left_out = camera.name, camera.live, camera.left_out

    @property
    def notice(self) -> str | None:  # type: ignore[override]  # nobody sets the notice of a camera from outside
        """The inner camera's."""
        return self._camera.notice

    def read(self) -> Frame | None:
        """The inner camera's next frame."""
        return self._camera.read()

    def close(self) -> None:
        """Close the inner camera."""
        self._camera.close()


class Adjusted(Wrapped):
    """Every picture turned, mirrored and cut as the options say; the time that takes is part of the capture time."""

    def __init__(self, camera: Camera, options: CameraOptions) -> None:
        super().__init__(camera)
        self._options = options

    def read(self) -> Frame | None:
        """The next frame, adjusted.

        Raises:
            DeviceError: the region reaches beyond the picture, or the camera stopped delivering.
        """
        frame = self._camera.read()
        if frame is None:
            return None
        start = time.perf_counter_ns()
        image = self._options.apply(frame.image)
        return replace(frame, image=image, capture_ns=frame.capture_ns + time.perf_counter_ns() - start)


class Paced(Wrapped):
    """A source that could go faster, as a live one that shows ``rate`` frames a second.

    The schedule does not drift. A reader that is late gets its frame at once, and the schedule goes on from there: what
    was missed is not made up for.
    """

    def __init__(self, camera: Camera, rate: float) -> None:
        super().__init__(camera)
        self.live = True
        self._interval_s = 1 / rate
        self._due: float | None = None
        self._closed = threading.Event()

    def read(self) -> Frame | None:
        """The next frame, when it is due; it counts as captured then."""
        frame = self._camera.read()
        now = time.perf_counter()
        due = now if self._due is None else max(self._due, now)
        if frame is None or self._closed.wait(due - now):
            return None
        self._due = due + self._interval_s
        return replace(frame, captured_ns=time.perf_counter_ns())

    def close(self) -> None:
        """Wake a read that waits."""
        self._closed.set()
        super().close()
