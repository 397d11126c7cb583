"""The newest of something, for any number of viewers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress


class Newest:
    """The newest of what one thread puts, for any number of coroutines in one event loop.

    Attributes:
        viewers: how many are waiting for it, or sending it on.
        audience: goes up whenever nobody is left, so that it is another for who comes next.
        source: what the newest was made from; None where there is none.

    ``viewers``, `put` and `forget` want the same lock around them.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.viewers = self.audience = 0
        self.source: object = None
        self._loop, self._event = loop, asyncio.Event()
        self._number, self._thing = 0, b""
        self._over = False

    def put(self, thing: bytes, source: object, *, audience: int) -> None:
        """From any thread. What nobody took yet is gone, and so is a thing that was begun for an earlier audience."""
        if audience == self.audience:
            self.source = source
            self._soon(self._set, thing, audience)

    def end(self) -> None:
        """From any thread: nothing more will come."""
        self._soon(self._end)

    def forget(self) -> None:
        """When nobody is left, in the event loop: who comes next shall not see what is old."""
        self._number, self.source = 0, None
        self.audience += 1

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

    def _soon(self, do: Callable[..., None], *given: object) -> None:
        with suppress(RuntimeError):  # the event loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(do, *given)

    def _set(self, thing: bytes, audience: int) -> None:
        if audience == self.audience:
            self._number, self._thing = self._number + 1, thing
            self._wake()

    def _end(self) -> None:
        self._over = True
        self._wake()

    def _wake(self) -> None:
        self._event.set()
        self._event = asyncio.Event()
