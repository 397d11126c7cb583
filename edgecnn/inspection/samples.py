"""A picture of what a folder of photos holds: a row of samples for each class, as the network will see them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgecnn.drawing import draw_text
from edgecnn.images import UnreadableImage, read_image
from edgecnn.inspection.folder import Inspection
from edgecnn.preprocess import InputSpec, Pixels

_ACROSS, _GAP, _TEXT_HEIGHT = 8, 6, 26
_WHITE = 255
_ROWS = 100  # a picture of a thousand rows is one that no viewer opens


def draw(inspection: Inspection) -> Pixels:
    """A title and a row of images for each of the first 100 classes; the images are some, spread by their digests.

    Returns:
        RGB, (height, width, 3), uint8; the images are of the network's size, and the width is that of eight of them.
    """
    rows = [row for label in range(min(len(inspection.labels), _ROWS)) for row in _class_rows(inspection, label)]
    return np.pad(np.vstack(rows), ((_GAP, _GAP), (_GAP, _GAP), (0, 0)), constant_values=_WHITE)


def _class_rows(inspection: Inspection, label: int) -> Iterator[Pixels]:
    """The title of a class and its samples."""
    members = sorted((image for image in inspection.images if image.file.label == label), key=lambda each: each.digest)
    spec = inspection.input
    width = _ACROSS * (spec.width + _GAP) - _GAP
    yield _title(f"{inspection.labels[label]}  ({len(members):,})", width)
    row = np.full((spec.height + 2 * _GAP, width, 3), _WHITE, np.uint8)
    for place, image in enumerate(members[:_ACROSS]):
        left = place * (spec.width + _GAP)
        row[: spec.height, left : left + spec.width] = _sample(image.file.path, spec)
    yield row


def _sample(path: Path, spec: InputSpec) -> Pixels:
    try:
        return spec.apply(read_image(path)[0])
    except UnreadableImage:  # it was read a moment ago, and is gone now
        return np.full(spec.shape, _WHITE, np.uint8)


def _title(text: str, width: int) -> Pixels:
    line = np.full((_TEXT_HEIGHT, width, 3), _WHITE, np.uint8)
    draw_text(line, text, (0, _TEXT_HEIGHT - 9))
    return line
