"""What shows the answers: one line per view in `VIEWS`."""

from collections.abc import Callable
from types import TracebackType
from typing import Protocol

from edgecnn.device.frames import Answer


class View(Protocol):
    """Shows answers, inside a ``with``. The loop waits for it: a view has to be quick, and may skip answers."""

    def begin(self, camera: str, runtime: str, threads: int) -> None:
        """The loop starts: names for the headline."""

    def show(self, answer: Answer) -> None:
        """Show one answer."""

    def __enter__(self) -> "View":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave the screen as it was found, for whatever reason the loop ended."""
        return None


class NoView(View):
    """Shows nothing."""

    def begin(self, camera: str, runtime: str, threads: int) -> None:
        """Nothing to prepare."""

    def show(self, answer: Answer) -> None:
        """Nothing to show."""


def _terminal() -> View:
    from edgecnn.device.terminal import TerminalView  # only this view pays for importing rich

    return TerminalView()


VIEWS: dict[str, Callable[[], View]] = {
    "terminal": _terminal,
    "none": NoView,
}
