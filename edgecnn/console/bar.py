"""Progress on stderr: a bar on a terminal, lines elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from edgecnn.console.output import Verbosity

_LINE_EVERY_S = 15.0


class StderrProgress:
    """A bar on a terminal; elsewhere a line for each message, and one now and then while something takes long."""

    def __init__(self, console: Console, bar: Progress) -> None:
        self._console, self._bar = console, bar
        self._task = bar.add_task("", total=None, visible=False)
        self._total, self._line_due = 0, time.monotonic() + _LINE_EVERY_S

    def update(self, done: int, total: int, note: str = "") -> None:
        """``done`` steps of ``total`` are finished; a total of 0 is one that is not known, and the bar only moves."""
        if total != self._total or done <= 1:
            self._total = total
            self._bar.reset(self._task, total=total or None, visible=True)
        self._bar.update(self._task, completed=done, description=note, visible=not total or done < total)
        if total and not self._console.is_terminal and time.monotonic() >= self._line_due:
            self._line_due = time.monotonic() + _LINE_EVERY_S
            left = "" if note.endswith(" left") else _left(self._bar.tasks[0].time_remaining)
            self._console.print(f"  {note} ({100 * done // total} %{left})", markup=False)

    def say(self, message: str) -> None:
        """A line that stays."""
        self._bar.update(self._task, visible=False)
        self._console.print(message, markup=False, soft_wrap=True)  # a path that is broken in two is none


def _left(seconds: float | None) -> str:
    return "" if seconds is None else f", {int(seconds) // 60}:{int(seconds) % 60:02} left"


class _TimeRemaining(TimeRemainingColumn):
    """Silent where the note says it, which knows of a training that went on."""

    def render(self, task: Task) -> Text:
        """See rich."""
        return Text("") if task.description.endswith(" left") else super().render(task)


@contextmanager
def progress() -> Iterator[StderrProgress]:
    """Progress on stderr for as long as the block runs."""
    console = Console(stderr=True, highlight=False, quiet=Verbosity.quiet)
    columns = (BarColumn(20), TextColumn("{task.description}", markup=False), _TimeRemaining(compact=True))
    with Progress(*columns, console=console, transient=True, disable=Verbosity.quiet or not console.is_terminal) as bar:
        yield StderrProgress(console, bar)
