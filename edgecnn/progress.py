"""Where long work says how far it is; the command line shows it, a script may not care."""

from typing import Protocol


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
