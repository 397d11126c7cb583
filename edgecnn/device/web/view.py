"""The view `web` itself: serves the page while the loop runs."""

import asyncio
import io
import socket
import sys
from types import TracebackType

from edgecnn.device.frames import Answer
from edgecnn.device.views import Run, View
from edgecnn.device.web.app import page
from edgecnn.device.web.feed import Feed
from edgecnn.device.web.security import Guard, Listen, machine_names
from edgecnn.device.web.server import Server, bind, is_loopback


class WebView(View):
    """A page on loopback, or with a token wherever else it is told to listen.

    Args:
        listen: ``HOST[:PORT]``; None for the port 8042 of this computer alone.

    Attributes:
        url: of the page, with the token where it asks for one; known inside the ``with``.

    Raises:
        UsageError: that is no address; on entering, it is none of this computer's.
        DeviceError: on entering: the port is in use.
    """

    def __init__(self, listen: str | None = None) -> None:
        self.url = ""
        self._listen = Listen() if listen is None else Listen.parse(listen)

    def __enter__(self) -> "WebView":
        bound = bind(self._listen)
        beyond = not is_loopback(bound)
        names = {self._listen.host} | (machine_names() if beyond else set())
        loop = asyncio.new_event_loop()
        self._feed = Feed(loop)
        guard = Guard(page(self._feed), names=names, with_token=beyond)
        self.url = _url(bound, self._listen.host, guard.token)
        _announce(self.url, with_code=beyond)
        self._server = Server(guard, bound, loop)
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._feed.close()
        self._server.stop()

    def begin(self, run: Run) -> None:
        """From now on there is something to see."""
        self._feed.begin(run)

    def show(self, answer: Answer) -> None:
        """Hand the answer to who watches; none of them is waited for."""
        self._feed.show(answer)

    def idle(self, notice: str | None) -> None:
        """Say why nothing comes."""
        self._feed.idle(notice)


def _url(bound: socket.socket, host: str, token: str | None) -> str:
    address, port = bound.getsockname()[:2]
    if address in ("0.0.0.0", "::"):
        host = _address_in_network()
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{port}/" + (f"?token={token}" if token else "")


def _address_in_network() -> str:
    """The address of this computer for others in its network; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # of a network that is for documentation (RFC 5737)
            return str(probe.getsockname()[0])
        except OSError:
            return f"{socket.gethostname().partition('.')[0]}.local"


def _announce(url: str, *, with_code: bool) -> None:
    """Say where the page is; in a terminal, and where other computers may come, as a QR code, too."""
    code = io.StringIO()
    if with_code and sys.stderr.isatty():
        import segno

        segno.make(url, error="L", micro=False).terminal(code, border=2, compact=True)
    try:
        sys.stderr.write(f"{code.getvalue()}The page is {url}\n")
    except UnicodeEncodeError:  # a terminal that has no such characters
        sys.stderr.write(f"The page is {url}\n")
    sys.stderr.flush()
