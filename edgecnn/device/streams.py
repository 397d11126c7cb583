"""A stream from the network, or from a FIFO: FFmpeg with little delay, time limits, and the reason when it fails."""

import os
import re
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

from edgecnn.device.frames import Frame
from edgecnn.device.opencv import Capture, Undecodable
from edgecnn.device.options import NOTHING_ASKED, CameraOptions
from edgecnn.device.reconnect import Reconnecting
from edgecnn.errors import DeviceError

SCHEMES = ("rtsp://", "rtsps://", "http://", "https://")
# TCP, because a frame with lost packets is a grey one; no buffer before the decoder and no reordering after it.
FFMPEG_OPTIONS = "rtsp_flags;prefer_tcp|fflags;nobuffer|flags;low_delay|fpsprobesize;0|tls_verify;0"
_OPTIONS_VARIABLE = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_OPENING = threading.Lock()

# What FFmpeg says in its log, what that means, and what to do.
REASONS = (
    (
        r"(?:failed:|error) 401",
        "{name} refuses the user or the password (401).",
        "the URL takes both: rtsp://USER:PASSWORD@HOST/PATH",
    ),
    (
        r"(?:failed:|error) 403",
        "{name} is forbidden to this user (403).",
        "see what the user may watch, in the camera's settings",
    ),
    (
        r"(?:failed:|error) 404",
        "{name} is not there (404): the host answers, and has no such path.",
        "see the camera's manual",
    ),
    (r"(?:failed:|error) [45]\d\d", "{name} refuses.", "see the camera's manual for the URL of its stream"),
    ("Connection refused", "Nothing listens at {name}.", "check the host and the port; is the camera on?"),
    ("resolve hostname", "The host of {name} is not known.", "check its name, or take its number"),
    ("No route|unreachable", "The host of {name} cannot be reached.", "check the network"),
)
_ASK = "import cv2, sys; cv2.VideoCapture(sys.stdin.read(), cv2.CAP_FFMPEG, list(map(int, sys.argv[1:])))"


class Stream(Capture):
    """RTSP or HTTP(S). Certificates are not checked, for cameras sign their own: ``$OPENCV_FFMPEG_CAPTURE_OPTIONS``,
    where it is set, takes the place of `FFMPEG_OPTIONS`.

    What has an end, a video on a web server, plays at its own pace, and ``read`` returns None there. Frames that change
    size are brought to that of the first by OpenCV.

    Raises:
        DeviceError: it cannot be opened, without a reason: `why` finds that.
    """

    live = True
    ffmpeg_options = FFMPEG_OPTIONS

    def __init__(self, url: str, options: CameraOptions = NOTHING_ASKED, name: str | None = None) -> None:
        with _opened_with(self.ffmpeg_options):
            super().__init__(name or public(url), url, cv2.CAP_FFMPEG, _time_limits(options))
        if not self.capture.isOpened():
            raise self._failure("cannot be opened as a video", "no picture")
        self._ends = self.capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0
        self._started = time.monotonic()

    def read(self) -> Frame | None:
        """Wait for the next frame; the wait is not part of the capture time, the decoding is.

        Raises:
            DeviceError: no more arrives.
        """
        try:
            frame = self.grab(wait=True)
        except Undecodable:
            frame = None
        if frame is None and not self.closed and not (self._ends and self.captured):
            if not self.captured:
                raise self._failure("gives no picture", "an end before the first frame")
            raise self._failure("has stopped", f"no frame after {self.captured}")
        elif self._ends:
            due = self._started + self.capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
            time.sleep(min(max(0.0, due - time.monotonic()), 1.0))
        return frame

    def _failure(self, what: str, received: str) -> DeviceError:
        return _failure(self.name, what, received)


class Fifo(Stream):
    """A FIFO that another program writes a video to, for example ``rpicam-vid --inline -t 0 -o FIFO``.

    It is read from its beginning to its end, which MPEG-TS, Matroska, MJPEG and H.264 are made for, and MP4 is not.

    Raises:
        DeviceError: nobody writes to it, or nothing that FFmpeg reads.
    """

    ffmpeg_options = FFMPEG_OPTIONS + "|probesize;500000"  # bytes; 5 MB are ten seconds and more of a small camera

    def __init__(self, path: str, options: CameraOptions = NOTHING_ASKED) -> None:
        # Opened here, without waiting for a writer: FFmpeg's own opening has no time limit.
        self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            if not select.select([self._descriptor], [], [], 2 * options.stall_s)[0]:
                raise self._silence(path, 2 * options.stall_s)
            super().__init__(f"pipe:{self._descriptor}", options, path)
        except DeviceError:
            os.close(self._descriptor)
            raise

    def _silence(self, path: str, seconds: float) -> DeviceError:
        """Why nothing came: whoever reads meets an end where nobody writes, and has to wait where somebody might."""
        try:
            os.read(self._descriptor, 1)
        except BlockingIOError:
            what, received, remedy = "gives no picture", "a writer that writes nothing", "see what the writer waits for"
        else:
            what, received, remedy = "has no writer", "nobody who writes", "start it: `ffmpeg -i SOURCE -f mpegts FIFO`"
        return DeviceError(
            f"{path} {what}.",
            received=f"{received}, for {seconds:g} s",
            accepted="a FIFO that a program writes video to",
            remedy=remedy,
        )

    def _failure(self, what: str, received: str) -> DeviceError:
        return DeviceError(
            f"{self.name} {what}.",
            received=received,
            accepted="what can be read without going back: MPEG-TS, Matroska, MJPEG, H.264; MP4 cannot",
            remedy="write MPEG-TS to it: `ffmpeg -i SOURCE -f mpegts FIFO`; or name the file itself",
        )

    def close(self) -> None:
        """Let go of the FIFO."""
        if not self.closed:
            super().close()
            os.close(self._descriptor)


def open_stream(url: str, options: CameraOptions = NOTHING_ASKED) -> Reconnecting:
    """A stream that comes back after whatever happens to it.

    Raises:
        DeviceError: it cannot be opened at first; the message says why, as far as FFmpeg knows.
    """
    start = time.monotonic()
    try:
        return Reconnecting(public(url), lambda: Stream(url, options), options.stall_s)
    except DeviceError as error:
        if time.monotonic() - start < options.stall_s:  # it was refused, not waited for
            raise why(url, options) from None
        raise error


def why(url: str, options: CameraOptions = NOTHING_ASKED) -> DeviceError:
    """Why a stream cannot be opened.

    FFmpeg tells its log alone, which is printed and can be set but once in a process: so one more attempt is made in a
    process of its own. It gets the URL through a pipe, where no other user can read the password.
    """
    name = public(url)
    asking = [sys.executable, "-c", _ASK, *map(str, _time_limits(options))]
    loud = {**os.environ, "OPENCV_FFMPEG_LOGLEVEL": "24", "OPENCV_LOG_LEVEL": "SILENT"}  # AV_LOG_WARNING
    try:
        log = subprocess.run(
            asking,
            input=url,
            env=loud,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,  # OpenCV writes its log to the one or the other
            text=True,
            errors="replace",
            timeout=3 * options.stall_s,
        ).stdout
    except subprocess.TimeoutExpired:
        log = ""
    for pattern, message, remedy in REASONS:
        if re.search(pattern, log):
            return DeviceError(message.format(name=name), received=name, accepted="a stream that plays", remedy=remedy)
    return _failure(name, "cannot be opened as a video", "no picture")


def public(url: str) -> str:
    """A URL as it may be printed: without the password, also where that was not escaped, and without keys."""
    url = re.sub(r"(?<=://)([^:/?@]*):.*@", r"\1:***@", url)
    return re.sub(r"(?i)([?&][^=&]*(?:pass|pwd|pw|key|token|secret|auth)[^=&]*=)[^&#]*", r"\1***", url)


def _time_limits(options: CameraOptions) -> list[int]:
    opening, reading = (round(1000 * seconds) for seconds in (2 * options.stall_s, options.stall_s))
    return [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, opening, cv2.CAP_PROP_READ_TIMEOUT_MSEC, reading]


@contextmanager
def _opened_with(options: str) -> Iterator[None]:
    """FFmpeg's options for what is opened meanwhile, unless the user set others. Those for little delay harm files."""
    with _OPENING:
        theirs = os.environ.get(_OPTIONS_VARIABLE)
        os.environ.setdefault(_OPTIONS_VARIABLE, options)
        try:
            yield
        finally:
            if theirs is None:
                del os.environ[_OPTIONS_VARIABLE]


def _failure(name: str, what: str, received: str) -> DeviceError:
    return DeviceError(
        f"{name} {what}.",
        received=received,
        accepted="a stream of video: RTSP, or MJPEG and others over HTTP",
        remedy="check that another program, such as `ffplay` or VLC, shows it",
    )
