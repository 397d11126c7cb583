"""Telling systemd that the demo is alive: the protocol of sd_notify(3), a datagram on a socket."""

import os
import socket
import time
from types import TracebackType

from edgecnn.device.frames import Answer
from edgecnn.device.views import Run, View

_EVERY_S = 1.0


class Watched(View):
    """A view that tells systemd, where that is what runs this (``$NOTIFY_SOCKET``), that there are answers.

    It does so once a second, and also while the loop can say why there are none. When the loop hangs nothing is said,
    and systemd starts the service again (``WatchdogSec``).

    Args:
        view: what shows the answers.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._address = os.environ.get("NOTIFY_SOCKET", "").replace("@", "\0", 1)
        self._next_s = 0.0

    def __enter__(self) -> "Watched":
        self._view.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._view.__exit__(kind, error, traceback)

    def begin(self, run: Run) -> None:
        """See `View`."""
        self._view.begin(run)

    def show(self, answer: Answer) -> None:
        """See `View`."""
        self._view.show(answer)
        self._alive("unknown" if answer.shown is None else answer.shown.label)

    def idle(self, notice: str | None) -> None:
        """See `View`."""
        self._view.idle(notice)
        if notice is not None:
            self._alive(notice)

    def _alive(self, status: str) -> None:
        """``status`` is what ``systemctl status`` shows."""
        now = time.monotonic()
        if not self._address or now < self._next_s:
            return
        self._next_s = now + _EVERY_S
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as systemd:
            systemd.sendto(f"READY=1\nWATCHDOG=1\nSTATUS={' '.join(status.split())}".encode(), self._address)
