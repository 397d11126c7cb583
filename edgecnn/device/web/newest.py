"""The newest of something, for any number of viewers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress


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
