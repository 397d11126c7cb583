"""Where long work says how far it is; the command line shows it, a script may not care."""

import time
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

_EVERY_S = 0.1  # telling costs more than some of what is counted
Item = TypeVar("Item")


class Progress(Protocol):
    """What is told of the progress."""

    def update(self, done: int, total: int, note: str = "") -> None:
        """``done`` steps of ``total`` are finished; a total of 0 is one that is not known."""

    def say(self, message: str) -> None:
        """A line that stays."""


class Silent:
    """Tells nobody."""

    def update(self, done: int, total: int, note: str = "") -> None:
        """See `Progress`."""

    def say(self, message: str) -> None:
        """See `Progress`."""


SILENT = Silent()


class Count:
    """Counts towards a total that is known, and tells of it ten times a second at most.

    Args:
        progress: who is told.
        total: steps in all.
        note: what is done.
    """

    def __init__(self, progress: Progress, total: int, note: str) -> None:
        self._progress, self._total, self._note = progress, total, note
        self._done, self._due = 0, 0.0

    def step(self, steps: int = 1) -> None:
        """So many more are done."""
        self._done += steps
        if (now := time.monotonic()) >= self._due or self._done >= self._total:
            self._due = now + _EVERY_S
            self._progress.update(self._done, self._total, self._note)

    def over(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items; each is a step once the next one is asked for."""
        for item in items:
            yield item
            self.step()
