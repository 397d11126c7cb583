"""One connection to the page, with limits for viewers who are slow, silent or too many."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 100  # a page holds two
SILENT_S = 10.0  # how long a request may take to arrive, and a viewer to read what was sent


class Connection(H11Protocol):
    """Drops who sends no request or reads no answer, and keeps almost nothing for who is slow."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A request is expected; one too many is turned away."""
        super().connection_made(transport)
        self._request, self._reading = _Deadline(transport), _Deadline(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
            return
        transport.set_write_buffer_limits(high=0)
        self._request.set()

    def data_received(self, data: bytes) -> None:
        """The rest of a request is expected where there is none yet."""
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._request.set()
        else:
            self._request.clear()

    def pause_writing(self) -> None:
        """What was sent is to be read now."""
        super().pause_writing()
        self._reading.set()

    def resume_writing(self) -> None:
        """It was."""
        super().resume_writing()
        self._reading.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is expected any more."""
        self._request.clear()
        self._reading.clear()
        super().connection_lost(exc)


class _Deadline:
    """Ends a connection when what is expected of the other side has not come in time."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._timer: asyncio.TimerHandle | None = None

    def set(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SILENT_S, self._transport.abort)

    def clear(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
