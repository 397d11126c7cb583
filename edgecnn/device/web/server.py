"""The server of the page: uvicorn in a thread of its own."""

import asyncio
import errno
import ipaddress
import socket
import threading
from contextlib import suppress
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from edgecnn.device.web.connection import Connection
from edgecnn.device.web.security import MOST_HEADER_BYTES, Listen
from edgecnn.errors import DeviceError, UsageError

GONE_S = 20.0
STOP_S = 5.0
_UNSENT_BYTES = 16 * 1024


def bind(listen: Listen) -> socket.socket:
    """A socket that listens there.

    Raises:
        DeviceError: somebody else does.
        UsageError: there is no such address here, or this user may not.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _cannot_listen(listen, error) from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _keep_little(bound)
        bound.bind(address)
        bound.listen(128)
    except OSError as error:
        bound.close()
        raise _cannot_listen(listen, error) from error
    return bound


def is_loopback(bound: socket.socket) -> bool:
    """Whether only this computer reaches it."""
    return ipaddress.ip_address(bound.getsockname()[0].partition("%")[0]).is_loopback


class Server:
    """Serves an app on a socket, in a thread with an event loop of its own.

    Args:
        app: the ASGI app.
        bound: see `bind`; closed at the end.
        loop: an event loop that nobody runs yet; closed at the end.
    """

    def __init__(self, app: ASGIApp, bound: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        config = uvicorn.Config(
            app,
            http=Connection,
            ws="none",
            lifespan="off",
            proxy_headers=False,
            server_header=False,
            log_config=None,
            log_level="error",
            access_log=False,
            h11_max_incomplete_event_size=MOST_HEADER_BYTES,
            timeout_graceful_shutdown=1,
        )
        self._server, self._bound, self._loop = _Server(config), bound, loop
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    def start(self) -> None:
        """Serve from now on."""
        self._thread.start()

    def stop(self) -> None:
        """End at once, whatever viewers do."""
        self._server.should_exit = True
        self._thread.join(STOP_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._server.serve(sockets=[self._bound]))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            self._loop.close()


class _Server(uvicorn.Server):
    """It waits for nobody at its end."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        for server in self.servers:
            server.close()
        await asyncio.sleep(0.1)  # for viewers who read, to hear the end
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await super().shutdown(sockets)


def _keep_little(bound: socket.socket) -> None:
    """What the kernel would keep for a viewer is what that viewer lags behind; connections inherit these."""
    for name, value in (("TCP_NOTSENT_LOWAT", _UNSENT_BYTES), ("TCP_USER_TIMEOUT", round(GONE_S * 1000))):
        if hasattr(socket, name):
            with suppress(OSError):
                bound.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _cannot_listen(listen: Listen, error: OSError) -> DeviceError | UsageError:
    place = f"{listen.host}:{listen.port}"
    if error.errno == errno.EADDRINUSE:
        return DeviceError(
            f"The page cannot be served at {place}: another program listens there.",
            received=f"port {listen.port}, which is in use",
            accepted="a port that is free",
            remedy=f"another port, such as --listen {listen.host}:{listen.port % 65535 + 1}; or end the other program: "
            f"`ss -ltnp 'sport = :{listen.port}'` names it",
        )
    wanted: dict[str, Any] = {
        "accepted": "an address of this computer, and a port that this user may take (1024 and above)",
        "remedy": "--listen 127.0.0.1 for this computer alone, --listen 0.0.0.0 for its network",
    }
    return UsageError(f"The page cannot be served at {place}.", received=error.strerror, **wanted)
