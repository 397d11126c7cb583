"""Charts as inline SVG: their colours are the page's, so that they follow light, dark and paper.

Each is a picture with a text in its place for who does not see it; the page has a table of the same figures beside it.
Series differ in their dashes and marks, too, not in their colours alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, inf, log10

from markupsafe import Markup, escape

Point = tuple[float, float]
_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 400, 50, 12, 10, 42
_TEXT = 6.4  # pixels a letter is wide, about
_APART = 16  # under which two marks would hide each other
_ROUND_STEPS = 12  # a factor, from which on a logarithmic axis has enough of 1, 2, 5, 10, 20 ...
_AIR = 0.08  # of an axis beyond its outermost values


@dataclass(frozen=True, kw_only=True)
class Axis:
    """What an axis says and spans.

    Attributes:
        title: with the unit.
        values: all that has to be on it.
        logarithmic: for values that differ by factors; all are positive then.
        limits: where the axis may not go beyond.
        shown: how a value is written at a tick.
    """

    title: str
    values: Sequence[float]
    logarithmic: bool = False
    limits: tuple[float, float] = (-inf, inf)
    shown: Callable[[float], str] = "{:g}".format

    def span(self) -> tuple[float, float]:
        """From where to where it goes."""
        low, high = min(self.values), max(self.values)
        if self.logarithmic:
            factor = max((high / low) ** _AIR, 1.15)
            return low / factor, high * factor
        air = (high - low) * _AIR or max(abs(high) * _AIR, 0.005)
        return max(low - air, self.limits[0]), min(high + air, self.limits[1])

    def place(self, value: float) -> float:
        """Where a value is, from 0 to 1."""
        low, high = self.span()
        if self.logarithmic:
            return (log10(value) - log10(low)) / (log10(high) - log10(low))
        return (value - low) / (high - low)

    def ticks(self) -> list[float]:
        """Round numbers, three to seven of them."""
        low, high = self.span()
        if self.logarithmic and high > _ROUND_STEPS * low:
            powers = range(floor(log10(low)), ceil(log10(high)) + 1)
            for steps in ((1, 2, 5), (1, 3), (1,)):
                found = [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]
                if len(found) <= 7:
                    return found
        step = 10.0 ** floor(log10((high - low) / 3))
        step *= next((factor for factor in (5, 2) if (high - low) / (step * factor) >= 3), 1)
        return [round(place * step, 10) for place in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]


@dataclass(kw_only=True)
class Plot:
    """Two axes, and what is drawn between them.

    Attributes:
        x: the axis below.
        y: the axis on the left.
        says: what there is to see, for who does not see it.
        height: in the units of its width, which is 400.
    """

    x: Axis
    y: Axis
    says: str
    height: int = 250
    _parts: list[Markup] = field(default_factory=list)

    def line(self, points: Sequence[Point], kind: str = "") -> None:
        """A line through points; ``kind`` is a class of the page's, such as ``second``."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(self._at, points))
        self._parts.append(Markup('<polyline class="line {}" points="{}"/>').format(kind, path))

    def dot(self, point: Point, kind: str = "", radius: float = 3.5) -> None:
        """A round mark."""
        x, y = self._at(point)
        self._parts.append(Markup('<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="{}"/>').format(kind, x, y, radius))

    def whisker(self, x: float, low: float, high: float, kind: str = "") -> None:
        """A vertical interval."""
        (left, top), (_, bottom) = self._at((x, high)), self._at((x, low))
        ends = f"M{left - 4:.1f} {top:.1f}h8m-4 0V{bottom:.1f}m-4 0h8"
        self._parts.append(Markup('<path class="whisker {}" d="{}"/>').format(kind, ends))

    def bar(self, left: float, right: float, top: float, kind: str = "") -> None:
        """A column from the axis up."""
        (x, y), (end, bottom) = self._at((left, top)), self._at((right, self.y.span()[0]))
        shape = 'x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"'
        drawn = Markup(f'<rect class="bar {{}}" {shape}/>')
        self._parts.append(drawn.format(kind, x, y, max(0.5, end - x), max(0.0, bottom - y)))

    def numbered(self, points: Sequence[Point]) -> None:
        """Points with their numbers, from 1; those that lie on each other share a mark."""
        groups: list[tuple[float, float, list[int]]] = []
        for number, (x, y) in enumerate(map(self._at, points), start=1):
            near = next((g for g in groups if abs(g[0] - x) < _APART and abs(g[1] - y) < _APART), None)
            near[2].append(number) if near else groups.append((x, y, [number]))
        for x, y, numbers in groups:
            text = ",".join(map(str, numbers))
            half = max(9.0, len(text) * _TEXT / 2 + 4)
            x = min(max(x, _LEFT + half), _WIDTH - half)
            self._parts.append(
                Markup(
                    '<rect class="pill" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="18" rx="9"/>'
                    '<text class="on-pill" x="{:.1f}" y="{:.1f}">{}</text>'
                ).format(x - half, y - 9, 2 * half, x, y + 4, text)
            )

    def text(self, point: Point, words: str) -> None:
        """Words at a place, which they end at where there is no room behind it."""
        x, y = self._at(point)
        anchor = "end" if x + len(words) * _TEXT > _WIDTH else "start"
        self._parts.append(
            Markup('<text class="note" text-anchor="{}" x="{:.1f}" y="{:.1f}">{}</text>').format(anchor, x, y, words)
        )

    def svg(self, x_names: Sequence[str] = ()) -> Markup:
        """The picture.

        Args:
            x_names: names for 0, 1, 2, ... on the axis below, in the place of its ticks.
        """
        floor_y, parts = self.height - _BOTTOM, []
        for tick in self.y.ticks():
            y = self._at((self.x.span()[0], tick))[1]
            parts.append(Markup('<path class="grid" d="M{} {:.1f}H{}"/>').format(_LEFT, y, _WIDTH - _RIGHT))
            text = Markup('<text class="tick" text-anchor="end" x="{}" y="{:.1f}">{}</text>')
            parts.append(text.format(_LEFT - 6, y + 4, self.y.shown(tick)))
        below = enumerate(x_names) if x_names else ((tick, self.x.shown(tick)) for tick in self.x.ticks())
        end = -inf
        for place, name in below:
            x = self._at((place, self.y.span()[0]))[0]
            half = len(name) * _TEXT / 2
            if x - half > end + 4 and x + half <= _WIDTH + 4:
                text = Markup('<text class="tick" text-anchor="middle" x="{:.1f}" y="{}">{}</text>')
                parts.append(text.format(x, floor_y + 16, name))
                end = x + half
        title = Markup('<text class="title" text-anchor="middle" x="{}" y="{}">{}</text>')
        parts.append(title.format((_LEFT + _WIDTH - _RIGHT) / 2, self.height - 6, self.x.title))
        parts.append(Markup('<path class="axis" d="M{} {}H{}"/>').format(_LEFT, floor_y, _WIDTH - _RIGHT))
        head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(_WIDTH, self.height, self.says)
        return head + Markup("").join([*parts, *self._parts]) + Markup("</svg>")

    def _at(self, point: Point) -> Point:
        x, y = self.x.place(point[0]), self.y.place(point[1])
        return (
            _LEFT + x * (_WIDTH - _LEFT - _RIGHT),
            self.height - _BOTTOM - y * (self.height - _BOTTOM - _TOP),
        )


def frontier(points: Sequence[Point]) -> list[Point]:
    """Those of (cost, gain) that no other has less cost than and at least as much gain, by cost."""
    kept: list[Point] = []
    for cost, gain in sorted(set(points), key=lambda each: (each[0], -each[1])):
        if not kept or gain > kept[-1][1]:
            kept.append((cost, gain))
    return kept


def shortened(name: str, letters: int = 24) -> str:
    """A name of at most so many letters."""
    return name if len(name) <= letters else f"{name[: letters - 1]}…"


def with_title(figure: Markup, caption: str) -> Markup:
    """A picture with a visible title."""
    return Markup("<figure><figcaption>{}</figcaption>{}</figure>").format(escape(caption), figure)
