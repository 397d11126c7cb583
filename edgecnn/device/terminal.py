"""The live table in the terminal, on stderr: labels with bars, frames a second, milliseconds a phase."""

import time
from types import TracebackType

from rich.console import Console, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from edgecnn.device.frames import PHASES, Answer
from edgecnn.device.views import Controls, Run, View

REFRESH_S = 0.1
DRAWING_SHARE = 0.05
ROWS, WIDTH, MARGIN = 5, 80, 3


class TerminalView(View):
    """At most ten times a second, and seldom enough that drawing takes at most a twentieth of the time.

    The last table stays when the demo ends; the cursor comes back however it ends.
    """

    def __init__(self, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self._width = min(console.width, WIDTH) - MARGIN  # what Ctrl-C echoes, ^C, must not start a new line
        self._live = Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        self._headline, self._controls = "", Controls()
        self._pending: Answer | None = None
        self._last: tuple[RenderableType, ...] | None = None
        self._next = 0.0
        self._start_window(time.perf_counter_ns())

    def __enter__(self) -> "TerminalView":
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if self._pending is not None:
                self._draw(self._pending)
        finally:
            self._live.stop()

    def begin(self, run: Run) -> None:
        """Names for the headline."""
        self._headline = f"{run.camera} | {run.runtime}, {run.threads} thread{'s' if run.threads > 1 else ''}"
        self._controls = run.controls
        self._start_window(time.perf_counter_ns())

    def show(self, answer: Answer) -> None:
        """Take the answer into the averages, and draw when it is time."""
        self._frames += 1
        for phase, duration in enumerate(answer.phases_ns):
            self._sums_ns[phase] += duration
        start = time.perf_counter()
        self._pending = answer if start < self._next else None
        if self._pending is None:
            self._draw(answer)
            end = time.perf_counter()
            self._next = end + max(REFRESH_S, (end - start) / DRAWING_SHARE)

    def idle(self, notice: str | None) -> None:
        """Say why nothing happens, under the last table's headline."""
        if notice and self._last is not None:
            self._live.update(_stack((_line(notice, "bold yellow"), *self._last[1:]), self._width), refresh=True)
        elif notice:
            self._live.update(_line(notice, "bold yellow"), refresh=True)

    def _draw(self, answer: Answer) -> None:
        """Draw the answer, and the averages of the frames since the last time."""
        seconds = (answer.answered_ns - self._since_ns) / 1e9
        speed = f"{self._frames / seconds:.1f} FPS" if seconds > 0 else "- FPS"
        means = [f"{name} {total / self._frames / 1e6:.2f}" for name, total in zip(PHASES, self._sums_ns, strict=True)]
        limit = f"unknown below {self._controls.threshold:.2f}" if self._controls.threshold else "no threshold"
        shown = "unknown" if answer.shown is None else f"{answer.shown.label}  {answer.shown.score:.2f}"
        self._last = lines = (
            _line(self._headline, "bold"),
            _line(shown, "dim" if answer.shown is None else "bold green"),
            _bars(answer, self._width // 2 - 4),
            _line(f"{speed}   frame {answer.frame.number}   dropped {answer.dropped}   {limit}", "cyan"),
            _line(f"ms: {'  '.join(means)}", "dim"),
        )
        self._live.update(_stack(lines, self._width), refresh=True)
        self._start_window(answer.answered_ns)

    def _start_window(self, since_ns: int) -> None:
        self._since_ns, self._frames, self._sums_ns = since_ns, 0, [0] * len(PHASES)


def _line(text: str, style: str) -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _bars(answer: Answer, length: int) -> Padding:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column(width=length)
    table.add_column(width=6, justify="right")
    table.expand = True
    best = answer.steady[:ROWS]
    for rank, prediction in enumerate(best):
        filled = round(min(1.0, max(0.0, prediction.score)) * length) if prediction.score == prediction.score else 0
        bar = Text("█" * filled, style="green" if rank == 0 else "blue")
        bar.append("·" * (length - filled), style="dim")
        table.add_row(Text(prediction.label, style="bold" if rank == 0 else ""), bar, f"{prediction.score:.3f}")
    for _ in range(ROWS - len(best)):
        table.add_row("")  # the same height for every answer, so that the picture does not jump
    return Padding(table, (1, 0))


def _stack(lines: tuple[RenderableType, ...], width: int) -> Table:
    table = Table.grid()
    table.add_column(width=width)
    for line in lines:
        table.add_row(line)
    return table
