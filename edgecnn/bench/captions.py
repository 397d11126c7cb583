"""Names beside the dots of a picture, none over another."""

import math
from collections.abc import Iterator, Sequence

import cv2

from edgecnn.drawing import draw_text
from edgecnn.preprocess import Pixels

LETTER = 9  # pixels across, at most
_LINE = (60, 60, 60)

Box = tuple[int, int, int, int]  # left, top, right, bottom


def label(image: Pixels, text: str, centre: tuple[int, int], radius: int, *, inside: Box, taken: list[Box]) -> None:
    """Write the name of a dot beside it, with a line to it if it is far; nowhere where all places are taken.

    Args:
        image: RGB, written to.
        text: a line of ASCII.
        centre: of the dot.
        radius: of the dot.
        inside: where text may be.
        taken: where it may not; its own place is added.
    """
    for x, y in _beside(centre, radius, LETTER * len(text)):
        box = _box(text, (x, y))
        if _within(box, inside) and not any(overlap(box, other) for other in taken):
            nearest = (min(max(centre[0], box[0]), box[2]), min(max(centre[1], box[1]), box[3]))
            if math.dist(centre, nearest) > radius + LETTER:
                cv2.line(image, centre, nearest, _LINE, 1, cv2.LINE_AA)
            taken.append(write(image, text, (x, y)))
            return


def _beside(centre: tuple[int, int], radius: int, width: int) -> Iterator[tuple[int, int]]:
    x, y = centre
    for further in range(12):
        step = radius + 6 + 14 * further
        yield x + step, y + 6
        yield x - step - width, y + 6
        yield x - width // 2, y - step
        yield x - width // 2, y + step + 14
        yield x + step, y + step
        yield x - step - width, y + step


def write(image: Pixels, text: str, at: tuple[int, int]) -> Box:
    """Write from the lower left corner, and say where that is."""
    draw_text(image, text, at)
    return _box(text, at)


def write_where_free(image: Pixels, text: str, places: Sequence[tuple[int, int]], taken: Sequence[Box]) -> Box:
    """Write at the first place that lies over nothing, else at the first; and say where that is."""
    free = (at for at in places if not any(overlap(_box(text, at), other) for other in taken))
    return write(image, text, next(free, places[0]))


def _box(text: str, at: tuple[int, int]) -> Box:
    return at[0], at[1] - 16, at[0] + LETTER * len(text), at[1] + 5


def around(centre: tuple[int, int], radius: int) -> Box:
    """The box around a dot."""
    return centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius


def _within(box: Box, other: Box) -> bool:
    return box[0] >= other[0] and box[1] >= other[1] and box[2] <= other[2] and box[3] <= other[3]


def overlap(one: Box, other: Box) -> bool:
    """Whether two boxes have a pixel in common."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
