"""A picture of how latencies are distributed: a histogram for each run, all over one axis."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecnn.bench.bootstrap import Series
from edgecnn.bench.measure import Bench
from edgecnn.bench.timing import Timings
from edgecnn.drawing import draw_text
from edgecnn.preprocess import Pixels

_WIDTH, _MARGIN, _TITLE, _BARS, _AXIS, _GAP = 960, 24, 26, 90, 34, 14  # pixels
_BINS = 114  # of 8 pixels
_BEYOND = 1.2  # times the largest p99: what is slower is counted in words
_FILL, _BAND, _LINE, _GREY = (120, 160, 205), (250, 222, 170), (190, 60, 20), (150, 150, 150)
_TICKS = (1, 1.5, 2, 3, 5, 7)


@dataclass(frozen=True)
class Panel:
    """One run: its title, its timings (n,) in ms, and the 95 % interval of its median."""

    title: str
    samples_ms: Series
    interval: tuple[float, float] | None


def panels(bench: Bench, rows: Sequence[dict[str, Any]]) -> list[Panel]:
    """The runs of a bench: each candidate in a tight loop, then each at the pace.

    Args:
        bench: what was measured.
        rows: its ``runs`` as JSON.
    """
    found = []
    for place, row in enumerate(rows):
        found.append(_panel(row["name"], bench.tight, place, row))
    for place, row in enumerate(rows):
        if bench.paced and row["paced"]:
            title = f"{row['name']}, {bench.rate:g} a second" + (" together" if len(rows) > 1 else "")
            found.append(_panel(title, bench.paced, place, row["paced"]))
    return found


def _panel(title: str, timings: Timings, place: int, figures: dict[str, Any]) -> Panel:
    interval = figures["intervals"] and tuple(figures["intervals"]["p50_ms"])
    return Panel(title, timings.samples_ns[place].ravel() / 1e6, interval)


def draw(panels: Sequence[Panel]) -> Pixels:
    """One histogram under the other, over the same logarithmic axis, so that runs can be compared at a glance.

    The line is the median, the band behind it its interval, the grey lines p90 and p99.

    Returns:
        RGB, (height, 960, 3), uint8.
    """
    low = min(float(panel.samples_ms.min()) for panel in panels) / 1.02
    high = max(float(np.percentile(panel.samples_ms, 99)) for panel in panels) * _BEYOND
    edges = np.geomspace(low, max(high, low * 1.05), _BINS + 1)
    rows = [part for panel in panels for part in (_title(panel, edges[-1]), _bars(panel, edges))]
    legend = _blank(_TITLE + _GAP)
    draw_text(legend, "red: median, behind it its 95 % interval; grey: p90 and p99", (_MARGIN, _TITLE - 6))
    return np.vstack([legend, *rows, _axis(edges)])


def _title(panel: Panel, high: float) -> Pixels:
    line = _blank(_TITLE)
    beyond = int((panel.samples_ms > high).sum())
    more = f"   ({beyond} slower than {high:.3g} ms)" if beyond else ""
    plain = panel.title.encode("ascii", "replace").decode()
    draw_text(line, f"{plain}   p50 {np.median(panel.samples_ms):.4g} ms{more}", (_MARGIN, _TITLE - 8))
    return line


def _bars(panel: Panel, edges: Series) -> Pixels:
    image = _blank(_BARS + _GAP)
    if panel.interval is not None:
        left, right = (_x(value, edges) for value in panel.interval)
        image[:_BARS, left : max(right, left + 1) + 1] = _BAND
    counts = np.histogram(panel.samples_ms, edges)[0]
    for place, count in enumerate(counts):
        height = math.ceil(count / max(counts.max(), 1) * (_BARS - 4))
        left, right = _x(edges[place], edges), _x(edges[place + 1], edges)
        bar = image[_BARS - height : _BARS, left : right - 1]
        bar[:] = np.minimum(bar, _FILL)
    for value, colour in zip(np.percentile(panel.samples_ms, (90, 99, 50)), (_GREY, _GREY, _LINE), strict=True):
        image[:_BARS, _x(value, edges) : _x(value, edges) + 2] = colour
    image[_BARS, _MARGIN : _WIDTH - _MARGIN] = _GREY
    return image


def _axis(edges: Series) -> Pixels:
    """The numbers under the last histogram, as many as have room."""
    image = _blank(_AXIS)
    free = 0
    for value in _marks(float(edges[0]), float(edges[-1])):
        x, text = _x(value, edges), f"{value:.4g} ms"
        width = 10 * len(text)
        if x - width // 2 >= free and x + width // 2 <= _WIDTH:
            image[:6, x] = _GREY
            draw_text(image, text, (x - width // 2, _AXIS - 10))
            free = x + width // 2 + 8
    return image


def _marks(low: float, high: float) -> Iterator[float]:
    """Round numbers between the two; where these are near each other, evenly spaced ones."""
    if high / low < 3:
        step = 10.0 ** math.floor(math.log10((high - low) / 2))
        step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= 8)
        yield from (step * count for count in range(math.ceil(low / step), math.floor(high / step) + 1))
        return
    for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        yield from (tick * 10.0**power for tick in _TICKS if low <= tick * 10.0**power <= high)


def _x(value: float, edges: Series) -> int:
    """The column of a time, inside the picture."""
    share = math.log(max(value, edges[0]) / edges[0]) / math.log(edges[-1] / edges[0])
    return _MARGIN + round(min(share, 1.0) * (_WIDTH - 2 * _MARGIN))


def _blank(height: int) -> Pixels:
    return np.full((height, _WIDTH, 3), 255, np.uint8)
