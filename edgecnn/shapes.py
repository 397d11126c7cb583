"""Rendered shapes: the images of the default recipe, and the moving scene of the `synthetic` camera.

A picture shows one shape, printed on paper or painted, before clutter that never holds a clean instance of any of
them; *nothing* shows the clutter alone, blank paper included. By convention a plain light quadrilateral is paper, and
a dark or coloured one a square. Perspective, light, blur, noise and JPEG follow, so that a shape on paper before a
webcam is recognised. Everything follows from a seed.
"""

from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecnn.preprocess import Pixels

CLASSES = ("arrow", "circle", "cross", "heart", "hexagon", "nothing", "square", "star", "triangle")
NOTHING = CLASSES.index("nothing")

Points = NDArray[np.float64]
Random = np.random.Generator

_SUPERSAMPLING = 2
_ASPECTS = 0.95, 1.8  # of the frames of cameras, up to 16:9; they are stretched to the network's size
_SUBPIXEL_BITS = 4
_LEAST_CONTRAST = 130  # Euclidean, in RGB
_WHITE = np.array([235, 235, 235], np.float32)
_LETTERS = "AEFGHJKLMNPRSTWYZ2345679"  # no letter that looks like a shape


def render(label: int, random: Random, size: tuple[int, int]) -> Pixels:
    """A picture of one class.

    Args:
        label: index into `CLASSES`.
        random: decides everything.
        size: (height, width) in pixels.

    Returns:
        RGB, (height, width, 3), uint8.
    """
    height, width = size
    frame_width = round(width * random.uniform(*_ASPECTS))
    canvas = _clutter(random, height * _SUPERSAMPLING, frame_width * _SUPERSAMPLING)
    _draw_print(canvas, label, _Look.draw(random), _pose(random, canvas.shape[:2]), random)
    image = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    return _photograph(cast(Pixels, image), random)


def paste(frame: Pixels, label: int, random: Random) -> Pixels:
    """A copy of a frame with a printed shape in it; for *nothing*, half of the time with a blank sheet of paper.

    Args:
        frame: RGB, (height, width, 3), uint8; it is not changed.
        label: index into `CLASSES`.
        random: decides everything.

    Returns:
        RGB, (height, width, 3), uint8.
    """
    canvas = frame.copy()
    _draw_print(canvas, label, _Look.draw(random), _pose(random, canvas.shape[:2]), random)
    return canvas


class Scene:
    """A moving scene whose truth is known: one print after the other moves, turns and grows before drifting clutter.

    Args:
        size: (height, width) of its frames in pixels.
        seed: decides everything.
    """

    frames_per_class = 45

    def __init__(self, size: tuple[int, int] = (480, 640), seed: int = 0) -> None:
        self._size, self._seed = size, seed
        self._drift = min(size) // 6
        random = np.random.default_rng((seed, 0))
        self._background = _clutter(random, size[0] + 2 * self._drift, size[1] + 2 * self._drift)

    def frame(self, index: int) -> tuple[Pixels, int]:
        """Frame ``index`` of the scene: RGB (height, width, 3) uint8, and the class that it shows."""
        segment, step = divmod(index, self.frames_per_class)
        cycle, place = divmod(segment, len(CLASSES))
        label = int(np.random.default_rng((self._seed, 1, cycle)).permutation(len(CLASSES))[place])
        random = np.random.default_rng((self._seed, 2, segment))
        height, width = self._size
        top, left = (round(self._drift * (1 + np.sin(index / period))) for period in (97, 71))
        image = self._background[top : top + height, left : left + width].copy()
        look, (start, speed) = _Look.draw(random), random.uniform(-1, 1, (2, 4))
        side = min(self._size)
        wave = np.sin(2 * np.pi * start[:3] + (1 + speed[:3]) * step / self.frames_per_class * np.pi)
        radius = side * (0.3 + 0.06 * wave[0])
        angle = np.pi * start[3] + 1.2 * speed[3] * step / self.frames_per_class
        center = np.array([width, height]) / 2 + wave[1:] * (np.array([width, height]) / 2 - 1.15 * radius) * 0.9
        _draw_print(image, label, look, _place(center, radius, angle), random)
        return image, label


@dataclass(frozen=True, kw_only=True)
class _Look:
    """How a shape is printed.

    Attributes:
        ink: RGB.
        paper: RGB of the sheet, None for a shape without one.
        margin: sides of the sheet, relative to the shape's radius.
        line: thickness of an outline relative to the radius, 0 for a filled shape.
        grain: how uneven the ink is, in 0 to 1.
    """

    ink: NDArray[np.float32]
    paper: NDArray[np.float32] | None
    margin: tuple[float, float]
    line: float
    grain: float

    @classmethod
    def draw(cls, random: Random) -> "_Look":
        paper: NDArray[np.float64] | None = random.uniform(185, 255) + random.uniform(-12, 12, 3)
        ink = _color(random, dark=random.random() < 0.6)
        line = random.uniform(0.13, 0.25) if random.random() < 0.3 else 0.0
        if random.random() < 0.12:  # light ink on dark or coloured card
            paper, ink = _color(random, dark=True), random.uniform(190, 255) + random.uniform(-15, 15, 3)
        elif not line and random.random() < 0.18:
            paper = None
        return cls(
            ink=ink.astype(np.float32),
            paper=None if paper is None else paper.astype(np.float32),
            margin=(random.uniform(1.15, 1.7), random.uniform(1.15, 1.7)),
            line=line,
            grain=random.uniform(0, 0.35),
        )


def _color(random: Random, *, dark: bool) -> NDArray[np.float64]:
    """A dark or a saturated colour."""
    if dark:
        return random.uniform(0, 70) + random.uniform(-20, 40, 3)
    hsv = np.array([[[random.integers(180), random.integers(150, 256), random.integers(110, 230)]]], np.uint8)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0], np.float64)


def _outline(label: int, random: Random) -> Points:
    """The corners of a shape within the unit circle, (n, 2); y points down."""
    name = CLASSES[label]
    if name == "heart":
        t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        x = 16 * np.sin(t) ** 3
        y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
        return np.stack([x, -y], axis=1) / 17.5
    if name == "arrow":
        shaft, head = random.uniform(0.16, 0.28), random.uniform(0.5, 0.7)
        neck = random.uniform(-0.05, 0.2)
        half = [(-0.95, shaft), (neck, shaft), (neck, head), (0.95, 0.0)]
        return np.array(half + [(x, -y) for x, y in half[-2::-1]])
    if name == "cross":
        a, b = random.uniform(0.24, 0.36), 0.92
        quarter = np.array([(a, -b), (a, -a), (b, -a)])
        corners = [quarter]
        for _ in range(3):
            corners.append(corners[-1] @ np.array([[0, 1], [-1, 0]]))
        return np.concatenate(corners)
    corners_of = {"circle": 48, "triangle": 3, "square": 4, "hexagon": 6, "star": 10}[name]
    angles = np.arange(corners_of) * 2 * np.pi / corners_of
    radii = np.ones(corners_of)
    if name == "star":
        radii[1::2] = random.uniform(0.38, 0.5)
    return np.stack([np.cos(angles) * radii, np.sin(angles) * radii], axis=1)


def _pose(random: Random, size: tuple[int, ...]) -> NDArray[np.float64]:
    """A random homography from the unit circle's plane to pixels: the shape stays (nearly) inside the picture."""
    height, width = size
    radius = min(height, width) * random.uniform(0.27, 0.46)
    room = np.maximum(np.array([width, height]) / 2 - radius * 0.95, 0)
    center = np.array([width, height]) / 2 + random.uniform(-1, 1, 2) * room
    pose = _place(center, radius, random.uniform(0, 2 * np.pi))
    stretch = np.exp(random.uniform(-0.08, 0.08))
    around = np.array(
        [[stretch, 0, center[0] * (1 - stretch)], [0, 1 / stretch, center[1] * (1 - 1 / stretch)], [0, 0, 1]]
    )
    tilt = np.eye(3)
    tilt[2, :2] = random.uniform(-0.16, 0.16, 2)
    return around @ pose @ tilt


def _place(center: NDArray[np.float64], radius: float, angle: float) -> NDArray[np.float64]:
    cosine, sine = radius * np.cos(angle), radius * np.sin(angle)
    return np.array([[cosine, -sine, center[0]], [sine, cosine, center[1]], [0, 0, 1]])


def _project(pose: NDArray[np.float64], points: Points) -> Points:
    mapped = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ pose.T
    return mapped[:, :2] / mapped[:, 2:]


def _draw_print(canvas: Pixels, label: int, look: _Look, pose: NDArray[np.float64], random: Random) -> None:
    """Draw the sheet and the shape on it, in place. Of *nothing*, the sheet alone, half of the time."""
    width, height = look.margin
    sheet = _project(pose, np.array([(-width, -height), (width, -height), (width, height), (-width, height)]))
    if label == NOTHING:
        if look.paper is not None and random.random() < 0.5:
            light = np.maximum(look.paper, 200) if look.paper.max() > 150 else look.paper + 150
            _blend(canvas, sheet, 0, light.astype(np.float32), 0.1, random)
        return
    shape = _project(pose, _outline(label, random))
    paper = look.paper
    if paper is None and np.linalg.norm(look.ink - _mean_color(canvas, shape)) < _LEAST_CONTRAST:
        paper = _WHITE  # it would not be seen
    if paper is not None:
        _blend(canvas, sheet, 0, paper, 0.05, random)
    radius = float(np.sqrt(abs(np.linalg.det(pose[:2, :2]))))
    _blend(canvas, shape, round(look.line * radius), look.ink, look.grain, random)


def _mean_color(canvas: Pixels, points: Points) -> NDArray[np.float32]:
    corners = np.clip([points.min(axis=0), points.max(axis=0)], 0, canvas.shape[1::-1]).astype(int)
    (left, top), (right, bottom) = corners
    return np.asarray(canvas[top : bottom + 1, left : right + 1].mean(axis=(0, 1)), np.float32)


def _blend(canvas: Pixels, points: Points, line: int, color: NDArray[np.float32], grain: float, random: Random) -> None:
    """Fill (or outline, where ``line`` is a thickness in pixels) a polygon with an uneven colour, inside its box."""
    low = np.maximum(np.floor(points.min(axis=0)).astype(int) - line - 2, 0)
    high = np.minimum(np.ceil(points.max(axis=0)).astype(int) + line + 3, (canvas.shape[1], canvas.shape[0]))
    if (high <= low).any():
        return
    (left, top), (right, bottom) = low, high
    alpha = np.zeros((bottom - top, right - left), np.uint8)
    fixed = [np.round((points - low) * 2**_SUBPIXEL_BITS).astype(np.int32)]
    if line:
        cv2.polylines(alpha, fixed, True, 255, line, cv2.LINE_AA, _SUBPIXEL_BITS)
    else:
        cv2.fillPoly(alpha, fixed, 255, cv2.LINE_AA, _SUBPIXEL_BITS)
    coarse = random.uniform(1 - grain, 1, (random.integers(4, 40), random.integers(4, 40))).astype(np.float32)
    cover = cv2.resize(coarse, (right - left, bottom - top)) * (alpha * np.float32(1 / 255))
    box = canvas[top:bottom, left:right]
    box[:] = cv2.convertScaleAbs(box + cover[:, :, np.newaxis] * (color - box))


def _clutter(random: Random, height: int, width: int) -> Pixels:
    """A background without any of the shapes: soft fields, texture, strokes, letters and ragged patches."""
    image = _field(random, height, width, int(random.integers(2, 7)), 0, 255)
    amount = random.uniform(0, 40)
    for low, high in ((8, 20), (24, 64)):
        image += _field(random, height, width, int(random.integers(low, high)), -amount, amount)
    canvas = cast(Pixels, cv2.convertScaleAbs(np.maximum(image, 0)))
    crowded = random.random() < 0.35
    for _ in range(random.integers(12, 40) if crowded else random.integers(0, 9)):
        _add_clutter(canvas, random)
    return canvas


def _add_clutter(canvas: Pixels, random: Random) -> None:
    """One thing that is none of the shapes, in place."""
    height, width = canvas.shape[:2]
    scale = min(height, width)
    value = random.uniform(0, 255)
    color = (value + (random.uniform(0, 255, 3) - value) * random.uniform(0, 1) ** 2).tolist()
    start = random.uniform(-0.1, 1.1, 2) * (width, height)
    kind = random.integers(5)
    if kind == 0:  # a ragged patch
        angles = np.sort(random.uniform(0, 2 * np.pi, random.integers(7, 12)))
        radii = random.uniform(0.05, 0.3) * scale * random.uniform(0.3, 1, len(angles))
        patch = start + np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, np.newaxis]
        cv2.fillPoly(canvas, [patch.astype(np.int32)], color, cv2.LINE_AA)
    elif kind == 1:  # an open stroke
        steps = np.cumsum(random.normal(0, scale * 0.08, (random.integers(2, 12), 2)), axis=0)
        thickness = int(random.integers(1, max(2, scale // 24)))
        cv2.polylines(canvas, [(start + steps).astype(np.int32)], False, color, thickness, cv2.LINE_AA)
    elif kind == 2:  # letters
        text = "".join(random.choice(list(_LETTERS), random.integers(2, 8)))
        place, font, size = start.astype(int).tolist(), int(random.integers(8)), scale / 300 * random.uniform(0.4, 2)
        cv2.putText(canvas, text, place, font, size, color, int(random.integers(1, 4)), cv2.LINE_AA)
    else:  # a pole, a rail, an edge across the picture, at any angle or upright as most things are
        reach = random.uniform(-1, 1, 2) * (width, height)
        if kind == 3:
            reach[random.integers(2)] *= 0.05
        ends = [(start + sign * reach).astype(int).tolist() for sign in (-1, 1)]
        cv2.line(canvas, ends[0], ends[1], color, int(scale * random.uniform(0.05, 0.4) ** 2) + 1, cv2.LINE_AA)


def _field(random: Random, height: int, width: int, cells: int, low: float, high: float) -> NDArray[np.float32]:
    coarse = random.uniform(low, high, (cells, cells, 3)).astype(np.float32)
    gray = random.uniform(0, 1) ** 0.25
    coarse = coarse * np.float32(1 - gray) + coarse.mean(axis=2, keepdims=True) * np.float32(gray)
    return cast(NDArray[np.float32], cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR))


def _photograph(image: Pixels, random: Random) -> Pixels:
    """What light, lens, sensor and compression do to a picture."""
    height, width = image.shape[:2]
    light = _field(random, height, width, 3, random.uniform(0.6, 0.9), random.uniform(0.9, 1.2))
    shot: NDArray[Any] = image * light * random.uniform(0.9, 1.1, 3).astype(np.float32) + np.float32(
        random.uniform(-15, 25)
    )
    if random.random() < 0.5:
        shot = cv2.GaussianBlur(shot, (0, 0), random.uniform(0.3, 0.9) * width / 96)
    if random.random() < 0.25:
        shot = cv2.filter2D(shot, -1, _motion(random, width))
    shot += random.standard_normal(shot.shape, np.float32) * np.float32(random.uniform(0, 9))
    picture = cv2.convertScaleAbs(np.maximum(shot, 0))
    if random.random() < 0.6:
        quality = int(random.integers(30, 96))
        picture = cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
    return cast(Pixels, picture)


def _motion(random: Random, width: int) -> NDArray[np.float32]:
    """A straight blur of 2 to 4 pixels for a picture of 96."""
    length = max(3, round(random.uniform(2, 4) * width / 96)) | 1
    kernel = np.zeros((length, length), np.float32)
    middle, reach = length // 2, length / 2 * np.array([np.cos(a := random.uniform(0, np.pi)), np.sin(a)])
    ends = [(round(middle + sign * reach[0]), round(middle + sign * reach[1])) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return np.asarray(kernel / kernel.sum(), np.float32)
