"""What the page's server answers: four files, two streams, a snapshot, and what a viewer sets and keeps."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from edgecnn.device.views import Run
from edgecnn.device.web.feed import Feed
from edgecnn.device.web.newest import Newest
from edgecnn.errors import EdgecnnError
from edgecnn.images import SplitRule
from edgecnn.splits import GOOD_START, images_needed

FILES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
ACCEPTED = (
    '{"threshold": 0 to 1}, {"paused": true or false}, or where the file has class maps {"overlay": true or false}'
)
PHOTOS = {"needed": images_needed(SplitRule()), "good": GOOD_START}
"""Of a class, for a build to take it, and to begin well with."""
MOST_BODY_BYTES = 1024
BODY_S = 5.0

Endpoint = Callable[[Request], Awaitable[Response]]


class Watching(StreamingResponse):
    """Everything that is the newest whenever this viewer is ready for it."""

    def __init__(self, feed: Feed, newest: Newest, media_type: str, first: bytes) -> None:
        super().__init__(_after(first, newest.each()), headers={"content-type": media_type})
        self._feed, self._newest = feed, newest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["method"] == "HEAD":
            await Response(headers={"content-type": self.headers["content-type"]})(scope, receive, send)
            return
        with self._feed.watching(self._newest):
            await super().__call__(scope, receive, send)


def page(feed: Feed) -> Starlette:
    """The page over a feed; nothing in it is reachable but these routes."""

    async def live(request: Request) -> Response:
        """The picture, again whenever there is a newer one."""
        return Watching(feed, feed.pictures, "multipart/x-mixed-replace; boundary=frame", b"--frame\r\n")

    async def numbers(request: Request) -> Response:
        """What `figures.numbers` says, as server-sent events."""
        return Watching(feed, feed.numbers, "text/event-stream", b"retry: 1000\n\n")

    async def about(request: Request) -> Response:
        """What does not change while it runs."""
        run = feed.run
        known = ("camera", "runtime", "threads", "labels", "class_maps")
        document = run and {name: getattr(run, name) for name in known} | {"collects": run.collection and PHOTOS}
        return Response(json.dumps(document), media_type="application/json")

    async def snapshot(request: Request) -> Response:
        """The frame as the camera gave it."""
        taken = await asyncio.to_thread(feed.snapshot)
        if taken is None:
            return PlainTextResponse("There is no frame yet.\n", 503)
        number, picture = taken
        headers = {"content-disposition": f'attachment; filename="snapshot-{number:06d}.jpg"'}
        return Response(picture, media_type="image/jpeg", headers=headers)

    async def controls(request: Request) -> Response:
        """Pause, threshold and heat map, of all viewers."""
        body = await _body(request)
        if body is None:
            return PlainTextResponse("That is too long, or came too slowly.\n", 413, {"connection": "close"})
        if feed.run is None:
            return PlainTextResponse("Nothing runs yet.\n", 503)
        if not _set(feed.run, body):
            return PlainTextResponse(f"{ACCEPTED} is accepted.\n", 400)
        return Response(status_code=204)

    async def photos(request: Request) -> Response:
        """The frame becomes a photo of a class."""
        label = _label(await _body(request))
        if label is None:
            return PlainTextResponse('{"label": a name of a class} is accepted.\n', 400)
        try:
            saved = await asyncio.to_thread(feed.keep, label)
        except EdgecnnError as error:
            return PlainTextResponse(f"{error.message} To do: {error.remedy}.\n", 409)
        if saved is None:
            return PlainTextResponse("There is no frame yet, or nothing is collected here.\n", 503)
        return Response(json.dumps(saved), media_type="application/json")

    routes = [Route(path, _file(*file)) for path, file in FILES.items()]
    routes += [Route("/live.mjpeg", live), Route("/numbers", numbers), Route("/about.json", about)]
    routes += [Route("/snapshot.jpg", snapshot), Route("/controls", controls, methods=["POST"])]
    routes += [Route("/photos", photos, methods=["POST"])]
    return Starlette(routes=routes)


async def _after(first: bytes, things: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for thing in things:
        yield thing


def _file(name: str, media_type: str) -> Endpoint:
    content = Path(__file__).with_name(name).read_bytes()

    async def endpoint(request: Request) -> Response:
        return Response(content, media_type=media_type)

    return endpoint


async def _body(request: Request) -> bytes | None:
    """None for one that is too long or too slow."""

    async def read() -> bytes | None:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MOST_BODY_BYTES:
                return None
        return body

    try:
        return await asyncio.wait_for(read(), BODY_S)
    except (asyncio.TimeoutError, ClientDisconnect):
        return None


def _label(body: bytes | None) -> str | None:
    """The label in the body, None where it is no such thing."""
    try:
        ((name, value),) = json.loads(body or b"").items()
    except (ValueError, AttributeError, RecursionError):
        return None
    return value if name == "label" and isinstance(value, str) else None


def _set(run: Run, body: bytes) -> bool:
    """Whether the body is one of the things that may be set, and is set."""
    try:
        ((name, value),) = json.loads(body).items()
    except (ValueError, AttributeError, RecursionError):
        return False
    if name == "paused" and isinstance(value, bool):
        run.controls.paused = value
    elif name == "overlay" and isinstance(value, bool) and run.class_maps:
        run.controls.overlay = value
    elif name == "threshold" and type(value) in (int, float) and 0 <= value <= 1:
        run.controls.threshold = float(value)
    else:
        return False
    return True
