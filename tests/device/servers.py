"""Servers of pictures for the tests: real ones, on ports of 127.0.0.1."""

import base64
import http.server
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgecnn.preprocess import Pixels

DEBIANS_PYTHON = "/usr/bin/python3"


def grey(number: int, height: int = 48, width: int = 64) -> Pixels:
    """A frame whose pixels are eight times its number."""
    return np.full((height, width, 3), 8 * number, np.uint8)


class RtspServer:
    """GStreamer's server in a process of its own, which can be killed, started again on the same port, and stopped."""

    def __init__(self, password: str | None = None) -> None:
        self._password, self.port = password, 0
        self.start()

    def start(self) -> None:
        command = [DEBIANS_PYTHON, str(Path(__file__).with_name("rtsp_server.py")), str(self.port)]
        command += [self._password] if self._password else []
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout
        self.port = int(self._process.stdout.readline())

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def url(self, credentials: str = "", path: str = "live") -> str:
        return f"rtsp://{credentials}127.0.0.1:{self.port}/{path}"


Body = Callable[["Request"], None]


class Request(http.server.BaseHTTPRequestHandler):
    """Answers with the server's body, which may write frames."""

    def do_GET(self) -> None:
        server: Any = self.server
        expected = server.password and "Basic " + base64.b64encode(f"user:{server.password}".encode()).decode()
        if expected and self.headers["Authorization"] != expected:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.end_headers()
            return
        server.body(self)

    def frames(self, images: Iterator[Pixels]) -> None:
        """MJPEG, as cameras send it, 50 frames a second."""
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for image in images:
            data = cv2.imencode(".jpg", image)[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            try:
                self.wfile.write(head.encode() + data + b"\r\n")
            except OSError:
                return
            time.sleep(0.02)

    def log_message(self, *_: Any) -> None:
        return None


@contextmanager
def http_server(body: Body, password: str | None = None, port: int = 0) -> Iterator[int]:
    """A server of one body; gives its port."""
    server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", port), Request)
    server.body, server.password = body, password
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
