"""The roofline picture of a network: how far each operator is from what this computer can do (see `limits`)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap

import cv2
import numpy as np

from edgecnn.bench.captions import LETTER, Box, around, label, write, write_where_free
from edgecnn.bench.layers import Layers
from edgecnn.drawing import draw_text
from edgecnn.preprocess import Pixels

_WIDTH, _HEIGHT = 1120, 800
_LEFT, _RIGHT, _TOP, _BOTTOM = 100, 40, 96, 170  # margins, in pixels
_LINE, _ROWS, _ACROSS = 24, 5, 118  # of the advice: pixels from line to line, lines, and letters to a line
_LABELS = 8
_ALONG = (0.25, 0.4, 0.55, 0.7, 0.1)  # of a slope, where its name may stand
_LARGEST, _SMALLEST = 34, 3  # radii: of the longest operator, and the least of any
_ROOF, _GRID, _RING = (60, 60, 60), (228, 228, 228), (200, 30, 60)
_COLOURS = {
    "convolution": (70, 120, 190),
    "depthwise": (220, 120, 40),
    "dense": (60, 150, 90),
    "without MACs": (150, 150, 150),
}
_KINDS = {"CONV_2D": "convolution", "TRANSPOSE_CONV": "convolution", "DEPTHWISE_CONV_2D": "depthwise"}


@dataclass(frozen=True, kw_only=True)
class Dot:
    """An operator in the picture.

    Attributes:
        kind: convolution, depthwise, dense, or without MACs.
        macs_a_byte: its place from left to right; None of what has no MACs.
        rate: MACs a second; of what has none, bytes a second.
        share: of the time of all operators, which is the dot's area.
        prune_next: whether it makes, takes or passes on the channels that should go next.
    """

    name: str
    kind: str
    macs_a_byte: float | None
    rate: float
    share: float
    prune_next: bool = False


def dots(layers: Layers) -> list[Dot]:
    """The operators that take a time and move something, the longest first."""
    total = sum(took or 0.0 for took in layers.times_ms)
    best = layers.prune_next()
    marked = {*best[0].makers, *best[0].takers, *best[0].others} if best else set()
    found = []
    for each in layers.operators:
        took = layers.times_ms[each.index]
        if not took or not each.bytes:
            continue
        kind = _KINDS.get(each.type, "dense") if each.macs else "without MACs"
        per_byte = each.macs / each.bytes if each.macs else None
        rate = (each.macs or each.bytes) / took * 1e3
        marks = each.index in marked
        found.append(
            Dot(name=each.name, kind=kind, macs_a_byte=per_byte, rate=rate, share=took / total, prune_next=marks)
        )
    return sorted(found, key=lambda dot: -dot.share)


def draw(layers: Layers, *, title: str, advice: Sequence[str]) -> Pixels:
    """Across: MACs for each byte that must move; up: MACs a second; both logarithmic. The area of a dot is its time.

    The roofs are lines; what has no MACs stands at the left edge, as far below a slope as its bytes a second are.

    Returns:
        RGB, (800, 1120, 3), uint8.
    """
    seen = dots(layers)
    plane = _Plane.of(layers, seen)
    image = np.full((_HEIGHT, _WIDTH, 3), 255, np.uint8)
    _grid(image, plane)
    largest = max((dot.share for dot in seen), default=1.0)
    places = [(dot, plane.at(dot), max(_SMALLEST, round(_LARGEST * math.sqrt(dot.share / largest)))) for dot in seen]
    for dot, centre, radius in places:
        _dot(image, centre, radius, _COLOURS[dot.kind])
    for dot, centre, radius in places:
        if dot.prune_next:
            cv2.circle(image, centre, radius + 2, _RING, 2, cv2.LINE_AA)
    taken = _roofs(image, plane, layers, [around(centre, radius) for _, centre, radius in places])
    taken += [around(centre, round(0.7 * radius)) for _, centre, radius in places]
    inside = (_LEFT, _TOP, _WIDTH - _RIGHT, _HEIGHT - _BOTTOM)
    for dot, centre, radius in places[:_LABELS]:
        name = _plain(dot.name) or dot.kind
        label(image, f"{name} {dot.share:.0%}", centre, radius, inside=inside, taken=taken)
    _legend(image, title)
    lines = [line for sentence in advice for line in wrap(_plain(sentence), _ACROSS)]
    for row, line in enumerate(lines[:_ROWS]):
        draw_text(image, line, (20, _HEIGHT - _BOTTOM + 66 + row * _LINE))
    return image


@dataclass(frozen=True)
class _Plane:
    """From MACs a byte and MACs a second to pixels; the four are the powers of ten that the axes end at."""

    left: float
    right: float
    low: float
    high: float

    @classmethod
    def of(cls, layers: Layers, seen: Sequence[Dot]) -> "_Plane":
        """Axes that hold all dots and the ridges of the roof."""
        limits = layers.limits
        peak = max(limits.macs_per_s.values())
        across = [peak / limits.memory_bytes_per_s, peak / limits.cache_bytes_per_s]
        across += [dot.macs_a_byte for dot in seen if dot.macs_a_byte]
        left, right = math.log10(min(across) / 3), math.log10(max(across) * 3)
        up = [peak, *(dot.rate * (1.0 if dot.macs_a_byte else 10**left) for dot in seen)]
        return cls(left, right, math.log10(min(up) / 2), math.log10(max(up) * 2))

    def x(self, value: float) -> int:
        return _LEFT + round((math.log10(value) - self.left) / (self.right - self.left) * (_WIDTH - _LEFT - _RIGHT))

    def y(self, value: float) -> int:
        high = _HEIGHT - _TOP - _BOTTOM
        return _TOP + round((self.high - math.log10(value)) / (self.high - self.low) * high)

    def at(self, dot: Dot) -> tuple[int, int]:
        if dot.macs_a_byte is None:
            return _LEFT, self.y(dot.rate * 10**self.left)
        return self.x(dot.macs_a_byte), self.y(dot.rate)


def _grid(image: Pixels, plane: _Plane) -> None:
    """A line at each power of ten, with its number, and what the axes are."""
    bottom = _HEIGHT - _BOTTOM
    for power in _powers(plane.left, plane.right):
        x = plane.x(10.0**power)
        cv2.line(image, (x, _TOP), (x, bottom), _GRID)
        draw_text(image, f"{10.0**power:g}", (x - 8, bottom + 20))
    for power in _powers(plane.low, plane.high):
        y = plane.y(10.0**power)
        cv2.line(image, (_LEFT, y), (_WIDTH - _RIGHT, y), _GRID)
        draw_text(image, _short(10.0**power), (_LEFT - 64, y + 6))
    cv2.rectangle(image, (_LEFT, _TOP), (_WIDTH - _RIGHT, bottom), (200, 200, 200))
    draw_text(image, "MACs a second", (12, _TOP - 10))
    draw_text(image, "no MACs", (_LEFT - 36, bottom + 42))
    draw_text(image, "MACs for each byte that must move", (_WIDTH // 2 - 130, bottom + 42))


def _roofs(image: Pixels, plane: _Plane, layers: Layers, seen: Sequence[Box]) -> list[Box]:
    """The slope of memory and that of the caches, up to the highest roof, and a roof for each type; where text is."""
    limits = layers.limits
    taken: list[Box] = []
    peak = max(limits.macs_per_s.values())
    edge = 10**plane.left
    for name, rate in (("memory", limits.memory_bytes_per_s), ("caches", limits.cache_bytes_per_s)):
        start = max(edge, 10**plane.low / rate)
        (left, low), (right, high) = (plane.x(start), plane.y(start * rate)), (plane.x(peak / rate), plane.y(peak))
        cv2.line(image, (left, low), (right, high), _ROOF, 2, cv2.LINE_AA)
        places = [(left + round(part * (right - left)) + 14, low + round(part * (high - low)) + 14) for part in _ALONG]
        taken.append(write_where_free(image, f"{name} {_short(rate)}B/s", places, [*seen, *taken]))
    ridge = peak / limits.cache_bytes_per_s
    for kind, rate in limits.macs_per_s.items():
        start = min(ridge, rate / limits.cache_bytes_per_s)
        cv2.line(image, (plane.x(start), plane.y(rate)), (_WIDTH - _RIGHT, plane.y(rate)), _ROOF, 2, cv2.LINE_AA)
        text = f"{kind} {_short(rate)}MAC/s"
        taken.append(write(image, text, (_WIDTH - _RIGHT - LETTER * len(text) - 10, plane.y(rate) - 8)))
    return taken


def _dot(image: Pixels, centre: tuple[int, int], radius: int, colour: tuple[int, int, int]) -> None:
    """Translucent, so that dots behind each other are seen, with an edge."""
    over = image.copy()
    cv2.circle(over, centre, radius, colour, cv2.FILLED, cv2.LINE_AA)
    cv2.addWeighted(over, 0.55, image, 0.45, 0, image)
    cv2.circle(image, centre, radius, colour, 1, cv2.LINE_AA)


def _legend(image: Pixels, title: str) -> None:
    draw_text(image, _plain(title)[:_ACROSS], (20, 28))
    x = 20
    for kind, colour in _COLOURS.items():
        cv2.circle(image, (x + 6, 52), 7, colour, cv2.FILLED, cv2.LINE_AA)
        draw_text(image, kind, (x + 20, 58))
        x += 40 + LETTER * len(kind)
    cv2.circle(image, (x + 6, 52), 8, _RING, 2, cv2.LINE_AA)
    draw_text(image, "prune its channels next", (x + 20, 58))
    draw_text(image, "area: time", (x + 230, 58))


def _powers(low: float, high: float) -> range:
    return range(math.ceil(low), math.floor(high) + 1)


def _short(value: float) -> str:
    for factor, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value:.3g} "


def _plain(text: str) -> str:
    return text.encode("ascii", "replace").decode()
