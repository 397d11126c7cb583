"""Work that runs in a thread of its own, one thing ahead of who takes what it makes."""

import threading
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Generic, TypeVar

Made = TypeVar("Made")


class Ahead(Generic[Made]):
    """Runs an iterable in a thread, inside a ``with``; what it makes waits in a slot for one.

    Where the ``latest`` wins, a slow taker gets the newest: nothing ever queues up.
    Else the thread waits until the one before was taken: nothing is lost.

    Args:
        work: what makes the things; it is iterated in the thread alone.
        latest: see above.
        name: of the thread.
    """

    def __init__(self, work: Iterable[Made], *, latest: bool, name: str) -> None:
        self._work, self._latest = work, latest
        self._slot: Made | None = None
        self._changed = threading.Condition()
        self._over = self._left = False
        self._error: BaseException | None = None
        # A daemon, so that a driver that hangs in a read cannot keep the process alive.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> "Ahead[Made]":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._changed:
            self._left = True
            self._changed.notify_all()
        self._thread.join(timeout=2)  # a read that hangs ends when the camera is closed

    @property
    def over(self) -> bool:
        """Whether all was made and taken, and no error is left to raise."""
        with self._changed:
            return self._over and self._slot is None and self._error is None

    def take(self, timeout_s: float | None = None) -> Made | None:
        """Wait for the next one; None when the work is over, or when the time is.

        Raises:
            BaseException: what the work raised, after all that it had made before.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._slot is not None or self._over, timeout_s)
            made, self._slot = self._slot, None
            self._changed.notify_all()
            if made is None and self._error is not None:
                error, self._error = self._error, None
                raise error
        return made

    def __iter__(self) -> Iterator[Made]:
        """All that is still to be taken."""
        while (made := self.take()) is not None:
            yield made

    def _run(self) -> None:
        try:
            for made in self._work:
                if not self._put(made):
                    break
        except BaseException as error:  # whatever it is, it belongs to the taker
            self._error = error
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()

    def _put(self, made: Made) -> bool:
        """False where nobody takes any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._latest or self._slot is None or self._left)
            if self._left:
                return False
            self._slot = made
            self._changed.notify_all()
        return True
