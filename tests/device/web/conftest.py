"""A real loop whose page is served on a free port of this computer, and viewers of it."""

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import cv2
import numpy as np
import pytest

from edgecnn.device import Summary, run
from edgecnn.device.frames import Answer, Camera, Frame
from edgecnn.device.views import Controls, Run
from edgecnn.device.web.view import WebView
from edgecnn.preprocess import Pixels

OWN = {"x-edgecnn": "1"}
BLOCK, BITS = 16, 20


class Endless(Camera):
    """Frames whose number stands in them as a row of black and white blocks, above noise or grey."""

    name, live = "endless <b>camera</b>", False

    def __init__(self, height: int = 48, width: int = 320, noise: bool = False, ends_after: int | None = None) -> None:
        self.left_out: list[str] = []
        self._image = np.full((height, width, 3), 60, np.uint8)
        if noise:
            self._image[:] = np.random.default_rng(0).integers(0, 256, self._image.shape)
        self._captured, self._ends_after = 0, ends_after

    def read(self) -> Frame | None:
        number = self._captured
        if number == self._ends_after:
            return None
        image = self._image.copy()
        for bit in range(BITS):
            image[:BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = 255 * (number >> bit & 1)
        self._captured += 1
        return Frame(number=number, image=image, captured_ns=0, capture_ns=1000)

    def close(self) -> None:
        return None


def number_in(picture: bytes) -> int:
    image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    return sum((image[4:12, bit * BLOCK + 4 : bit * BLOCK + 12].mean() > 128) << bit for bit in range(BITS))


class Demo(WebView):
    """The view, which counts what it was shown, and how to ask it for something."""

    def __init__(self, listen: str) -> None:
        super().__init__(listen)
        self.shown = 0
        self.controls = Controls()
        self.progress = threading.Condition()
        self.began = threading.Event()
        self.summary: Summary | None = None

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2].partition("/")[0])

    def begin(self, run: Run) -> None:
        self.controls = run.controls
        super().begin(run)
        self.began.set()

    def show(self, answer: Answer) -> None:
        super().show(answer)
        with self.progress:
            self.shown += 1
            self.progress.notify_all()

    def wait_for_answers(self, more: int) -> None:
        with self.progress:
            goal = self.shown + more
            assert self.progress.wait_for(lambda: self.shown >= goal, timeout=30)

    def ask(
        self, path: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers in lower case, and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def set(self, setting: object) -> int:
        return self.ask("/controls", "POST", json.dumps(setting).encode(), **OWN)[0]


class Viewer:
    """Reads a stream, as slowly as it likes."""

    def __init__(self, demo: Demo, path: str, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(30)
        self.socket.connect(("127.0.0.1", demo.port))
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        self._stream: http.client.HTTPResponse | None = None

    @property
    def stream(self) -> http.client.HTTPResponse:
        if self._stream is None:
            self._stream = http.client.HTTPResponse(self.socket)
            self._stream.begin()
            assert self._stream.status == 200
        return self._stream

    def picture(self) -> bytes:
        """The next part of the stream of pictures."""
        length = None
        while (line := self.stream.readline()) != b"\r\n" or length is None:
            assert line, "the stream ended"
            if line.startswith(b"Content-Length:"):
                length = int(line.partition(b":")[2])
        return self.stream.read(length)

    def numbers(self) -> dict[str, Any]:
        """The next event; ``{"end": ...}`` for the last."""
        name = ""
        while line := self.stream.readline().decode():
            if line.startswith("event:"):
                name = line.partition(":")[2].strip()
            if line.startswith("data:"):
                document: dict[str, Any] = json.loads(line.partition(":")[2])
                return {name: document} if name else document
        raise AssertionError("the stream ended")

    def numbers_until(self, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        for _ in range(200):
            if fits(document := self.numbers()):
                return document
        raise AssertionError(f"not in 200 events: {document}")

    def __enter__(self) -> "Viewer":
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            self._stream.close()
        self.socket.close()


Serve = Callable[..., AbstractContextManager[Demo]]


@pytest.fixture
def serve(number_classifier: Any) -> Serve:
    """A loop in a thread, with its page on a free port."""

    def preprocess(frame: Pixels) -> Pixels:
        return frame[:1, :1] // 255  # number 0: the classifier's own numbers do not matter here

    number_classifier.preprocess = preprocess

    @contextmanager
    def serving(
        listen: str = "127.0.0.1:0", camera: Camera | None = None, pace: float | None = 200.0, **options: Any
    ) -> Iterator[Demo]:
        def work() -> None:
            demo.summary = run(camera or Endless(), number_classifier, view=demo, pace=pace, **options)

        with Demo(listen) as demo:
            thread = threading.Thread(target=work)
            thread.start()
            assert demo.began.wait(timeout=30)
            try:
                yield demo
            finally:
                demo.controls.stop = True
                thread.join(timeout=30)
        assert demo.summary is not None
        assert not {"web", "pictures"} & {thread.name for thread in threading.enumerate()}

    return serving


@pytest.fixture
def view_of() -> type[Viewer]:
    return Viewer


@pytest.fixture
def number_of() -> Callable[[bytes], int]:
    return number_in


@pytest.fixture
def endless() -> type[Endless]:
    return Endless
