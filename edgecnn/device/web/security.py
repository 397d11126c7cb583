"""Who may see the page: where it listens, what it is called, and the token that it asks for beyond this computer.

A page of another site can make a browser send requests to this one. So the Host header must be a name of ours (against
DNS rebinding), what changes something must come from our own page, and no other site may show anything of it.
"""

import hmac
import re
import secrets
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edgecnn.errors import UsageError

HOST, PORT = "127.0.0.1", 8042
OWN_HEADER = "x-edgecnn"  # another site's page cannot send it without being asked, and nobody says yes
TOKEN_BYTES = 16
MOST_HEADER_BYTES = 16 * 1024

_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
# The link is for who came from a link elsewhere: to that request a browser adds no cookie, to the next it does.
_DENIED = """<!doctype html><html lang="en"><meta charset="utf-8"><title>edgecnn</title>
<h1>This page needs its token</h1>
<p>The address that edgecnn printed when it was started holds it, and so does the QR code, where it printed one. If you
come from there:
<a href="/">continue</a>.
"""


@dataclass(frozen=True, kw_only=True)
class Listen:
    """Where the page is served; port 0 is any that is free."""

    host: str = HOST
    port: int = PORT

    @classmethod
    def parse(cls, text: str) -> "Listen":
        """``HOST``, ``HOST:PORT``, ``[IPV6]`` or ``[IPV6]:PORT``.

        Raises:
            UsageError: it is none of these.
        """
        name = r"\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[\w.-]*[A-Za-z.][\w.-]*)"
        found = re.fullmatch(rf"(?:{name})(?::(?P<port>\d{{1,5}}))?", text)
        port = int(found["port"] or PORT) if found else -1
        if found is None or not 0 <= port <= 65535:
            raise UsageError(
                "That is no address to listen on.",
                received=f"--listen {text}",
                accepted="HOST or HOST:PORT, such as 127.0.0.1, 0.0.0.0:8080 or [::1]:8080",
                remedy="127.0.0.1 is for this computer alone, 0.0.0.0 for its network",
            )
        return cls(host=found["six"] or found["name"], port=port)


def machine_names() -> set[str]:
    """What other computers call this one."""
    name = socket.gethostname().lower()
    return {name, name.partition(".")[0], f"{name.partition('.')[0]}.local"}


class Guard:
    """Around the page: lets nobody in who may not, and adds the headers that browsers obey.

    Args:
        app: the page.
        names: what it may be called, besides the address at which a connection arrives.
        with_token: whether it asks for one.

    Attributes:
        token: the one to ask for; None asks for none.
    """

    def __init__(self, app: ASGIApp, *, names: Iterable[str], with_token: bool) -> None:
        self.token = secrets.token_urlsafe(TOKEN_BYTES) if with_token else None
        self._session = secrets.token_urlsafe(TOKEN_BYTES)  # the cookie's, so that the token is in no browser's store
        self._app, self._names = app, {name.lower() for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        request = Request(scope)
        answer = self._refusal(request) or self._admission(request) or self._app
        await answer(scope, receive, send_with_headers)

    def _refusal(self, request: Request) -> Response | None:
        """Why the request cannot be our own page's."""
        target = len(request.scope["raw_path"]) + len(request.scope["query_string"])
        if target + sum(len(name) + len(value) for name, value in request.headers.raw) > MOST_HEADER_BYTES:
            return PlainTextResponse("That is too long.\n", 431)
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if not self._is_ours(host, request.scope["server"][0]):
            return PlainTextResponse("This page does not have that name.\n", 403)
        if request.method not in ("GET", "HEAD") and (
            OWN_HEADER not in request.headers or origin not in (None, f"http://{host}")
        ):
            return PlainTextResponse("This request does not come from the page.\n", 403)
        return None

    def _admission(self, request: Request) -> Response | None:
        """What is answered to whom the page is not for, or not yet."""
        if self.token is None:
            return None
        cookie = f"edgecnn-{request.scope['server'][1]}"  # a cookie is for all ports of a host
        given = request.query_params.get("token", "")
        if request.url.path == "/" and _equal(given, self.token):
            response = RedirectResponse("/", 303)
            response.set_cookie(cookie, self._session, httponly=True, samesite="strict")
            return response
        return None if _equal(request.cookies.get(cookie, ""), self._session) else HTMLResponse(_DENIED, 401)

    def _is_ours(self, host: str, arrived_at: str) -> bool:
        found = re.fullmatch(r"(?:\[([0-9a-f:.]+)\]|([\w.-]+?)\.?)(?::\d+)?", host.lower())
        if found is None:
            return False
        name = found[1] or found[2]
        own = ip_address(arrived_at.partition("%")[0])
        if isinstance(own, IPv6Address) and own.ipv4_mapped:
            own = own.ipv4_mapped
        return name in self._names or name == str(own) or (own.is_loopback and name == "localhost")


def _equal(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), secret.encode())
