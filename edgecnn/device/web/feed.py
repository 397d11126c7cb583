"""From the loop to the viewers: the newest picture and the newest numbers, each made once for all of them."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from typing import cast

import cv2

from edgecnn.device.frames import Answer
from edgecnn.device.health import Health
from edgecnn.device.views import Run
from edgecnn.device.web.figures import Figures
from edgecnn.preprocess import Pixels

PICTURE_S = 1 / 40  # every frame of a camera with 30 a second, though their times tremble
NUMBERS_S = 0.12
NUMBERS_AT_LEAST_S = 5.0  # also where nothing changes: so that a viewer who is gone is noticed
SHARE = 0.15  # of one core, for pictures and numbers
LONGEST_SIDE = 960
QUALITY, SNAPSHOT_QUALITY = 80, 95


class Newest:
    """The newest of what one thread puts, for any number of coroutines in one event loop.

    Attributes:
        viewers: how many are waiting for it, or sending it on.
        source: what the newest was made from; None where there is none.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.viewers = 0
        self.source: object = None
        self._loop, self._event = loop, asyncio.Event()
        self._number, self._thing = 0, b""
        self._over = False

    def put(self, thing: bytes, source: object) -> None:
        """From any thread. What nobody took yet is gone."""
        self.source = source
        self._soon(thing, False)

    def end(self) -> None:
        """From any thread: nothing more will come."""
        self._soon(b"", True)

    def forget(self) -> None:
        """When nobody is left: who comes next shall not see what is old."""
        self._number, self.source = 0, None

    async def each(self) -> AsyncIterator[bytes]:
        """The newest, and then whatever is the newest when the taker comes back; until the end."""
        taken = 0
        while True:
            if taken != self._number:
                taken = self._number
                yield self._thing
            elif self._over:
                return
            else:
                await self._event.wait()

    def _soon(self, thing: bytes, over: bool) -> None:
        with suppress(RuntimeError):  # the event loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(self._set, thing, over)

    def _set(self, thing: bytes, over: bool) -> None:
        self._over = self._over or over
        if not over:
            self._number, self._thing = self._number + 1, thing
        self._event.set()
        self._event = asyncio.Event()


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

    def close(self) -> None:
        """Nothing more will come: every viewer's stream ends."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()
        self.numbers.put(b"event: end\ndata: {}\n\n", None)
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

    def _work(self) -> None:
        while True:
            with self._changed:
                timeout_s = NUMBERS_S if self.numbers.viewers else None
                self._changed.wait_for(lambda: self._closed or self._news() or self._numbers_are_due(), timeout_s)
                if self._closed:
                    return
                answer, numbers = self._news(), self._numbers_are_due()
            start, spent_s = time.perf_counter(), time.thread_time()
            if answer is not None:
                self.pictures.put(_part(jpeg(_smaller(answer.frame.image), quality=QUALITY)), answer)
            if numbers:
                self._look_at_numbers()
            pause_s = max(PICTURE_S, (time.thread_time() - spent_s) / SHARE)
            time.sleep(max(0.0, start + pause_s - time.perf_counter()))

    def _news(self) -> Answer | None:
        """The answer whose picture somebody is waiting for."""
        return self._answer if self.pictures.viewers and self._answer is not self.pictures.source else None

    def _numbers_are_due(self) -> bool:
        return self.numbers.viewers > 0 and time.perf_counter() >= self._looked_s + NUMBERS_S

    def _look_at_numbers(self) -> None:
        assert self.run is not None
        temperature, throttled = self._health.read()
        with self._changed:
            document = self._figures.as_json(self.run.controls)
        document |= {"temperature_c": temperature, "throttled": throttled}
        self._looked_s = time.perf_counter()
        if document != self.numbers.source or self._looked_s >= self._put_s + NUMBERS_AT_LEAST_S:
            self.numbers.put(f"data: {json.dumps(document)}\n\n".encode(), document)
            self._put_s = self._looked_s


def jpeg(image: Pixels, *, quality: int) -> bytes:
    """Encode RGB, (height, width, 3), uint8."""
    whole, encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, quality))
    assert whole
    return encoded.tobytes()


def _smaller(image: Pixels) -> Pixels:
    """What a page has room for."""
    height, width = image.shape[:2]
    scale = LONGEST_SIDE / max(height, width)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cast(Pixels, cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def _part(picture: bytes) -> bytes:
    """It ends with the boundary of the next: browsers show a picture when they have seen that."""
    head = f"Content-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n".encode()
    return b"".join((head, picture, b"\r\n--frame\r\n"))
