"""From the loop to the viewers: the newest picture and the newest numbers, each made once for all of them."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edgecnn.device.frames import Answer
from edgecnn.device.views import Run
from edgecnn.device.web.encode import SNAPSHOT_QUALITY, jpeg, part
from edgecnn.device.web.figures import Figures
from edgecnn.device.web.newest import Newest
from edgecnn.health import Health
from edgecnn.images import visible_files

PICTURE_S = 1 / 40  # every frame of a camera with 30 a second, though their times tremble
NUMBERS_S = 0.12
NUMBERS_AT_LEAST_S = 5.0  # also where nothing changes: so that a viewer who is gone is noticed
STILL_S = 1.0  # a picture that stays is sent again: browsers show one when the next begins
SHARE = 0.15  # of one core, for pictures and numbers


class Feed:
    """What the loop says, made ready for viewers in a thread of its own, and only while there are any.

    Args:
        loop: the event loop of the viewers.

    Attributes:
        pictures: parts of a ``multipart/x-mixed-replace`` with the boundary ``frame``.
        numbers: server-sent events.
        run: what the loop told at its start; None before.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.pictures, self.numbers = Newest(loop), Newest(loop)
        self.run: Run | None = None
        self._figures, self._health = Figures(), Health()
        self._answer: Answer | None = None
        self._changed, self._closed = threading.Condition(), False
        self._looked_s = self._put_s = 0.0  # when there were numbers to send, and when some were sent
        self._pictured_s = 0.0
        self._snapshot: tuple[Answer, bytes] | None = None
        self._snapshot_lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="pictures", daemon=True)

    def begin(self, run: Run) -> None:
        """The loop starts."""
        self.run = run
        self._thread.start()

    def show(self, answer: Answer) -> None:
        """Take note of an answer; the loop waits for nothing."""
        with self._changed:
            self._answer = answer
            self._figures.add(answer, shown_ns=time.perf_counter_ns())
            if self.pictures.viewers:
                self._changed.notify_all()

    def idle(self, notice: str | None) -> None:
        """Nothing comes, and perhaps why."""
        with self._changed:
            self._figures.idle(notice)
            if self._news():
                self._changed.notify_all()

    def close(self) -> None:
        """Nothing more will come: every viewer's stream ends."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()
        with self._changed:
            self.numbers.put(b"event: end\ndata: {}\n\n", None, audience=self.numbers.audience)
        self.numbers.end()
        self.pictures.end()

    @contextmanager
    def watching(self, newest: Newest) -> Iterator[None]:
        """While a viewer is there; in the event loop."""
        with self._changed:
            newest.viewers += 1
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                newest.viewers -= 1
                if not newest.viewers:
                    newest.forget()

    def snapshot(self) -> tuple[int, bytes] | None:
        """The newest frame's number, and itself as a JPEG of full size; None before the first. It takes a while."""
        with self._snapshot_lock:  # a thousand who ask at once get one picture
            answer = self._answer
            if answer is None:
                return None
            if self._snapshot is None or self._snapshot[0] is not answer:
                self._snapshot = answer, jpeg(answer.frame.image, quality=SNAPSHOT_QUALITY)
            return answer.frame.number, self._snapshot[1]

    def keep(self, label: str) -> dict[str, Any] | None:
        """Save the newest frame as a photo of a class; None where there is no frame, or nothing is collected.

        Returns:
            Its path below the folder, and how many photos its class has now.

        Raises:
            UsageError, DeviceError: see `Collection`.
        """
        answer, run = self._answer, self.run
        if answer is None or run is None or run.collection is None:
            return None
        path = run.collection.add(answer.frame, label)
        return {"saved": str(path.relative_to(run.collection.root)), "photos": len(visible_files(path.parent))}

    def _work(self) -> None:
        while True:
            with self._changed:
                timeout_s = NUMBERS_S if self.numbers.viewers else None
                self._changed.wait_for(lambda: self._closed or self._news() or self._numbers_are_due(), timeout_s)
                if self._closed:
                    return
                answer, numbers = self._news(), self._numbers_are_due()
                seeing, reading = self.pictures.audience, self.numbers.audience
            start, spent_s = time.perf_counter(), time.thread_time()
            if answer is not None:
                picture = part(answer)
                with self._changed:
                    self.pictures.put(picture, answer, audience=seeing)
                self._pictured_s = time.perf_counter()
            if numbers:
                self._look_at_numbers(reading)
            pause_s = max(PICTURE_S, (time.thread_time() - spent_s) / SHARE)
            time.sleep(max(0.0, start + pause_s - time.perf_counter()))

    def _news(self) -> Answer | None:
        """The answer whose picture somebody is waiting for."""
        still = self._figures.notice is not None and time.perf_counter() >= self._pictured_s + STILL_S
        return self._answer if self.pictures.viewers and (still or self._answer is not self.pictures.source) else None

    def _numbers_are_due(self) -> bool:
        return self.numbers.viewers > 0 and time.perf_counter() >= self._looked_s + NUMBERS_S

    def _look_at_numbers(self, audience: int) -> None:
        assert self.run is not None
        temperature, throttled = self._health.read()
        with self._changed:
            document = self._figures.as_json(self.run.controls)
        document |= {"temperature_c": temperature, "throttled": throttled}
        self._looked_s = time.perf_counter()
        if document != self.numbers.source or self._looked_s >= self._put_s + NUMBERS_AT_LEAST_S:
            with self._changed:
                self.numbers.put(f"data: {json.dumps(document)}\n\n".encode(), document, audience=audience)
            self._put_s = self._looked_s
