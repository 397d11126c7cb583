"""A picture of what a folder of photos holds: a row of samples for each class, as the network will see them."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from edgecnn.errors import UsageError
from edgecnn.files import write_atomically
from edgecnn.images import UnreadableImage, read_image
from edgecnn.inspection import Inspection
from edgecnn.preprocess import InputSpec, Pixels

_ACROSS, _GAP, _TEXT_HEIGHT = 8, 6, 26
_WHITE, _BLACK = 255, (0, 0, 0)
_ROWS = 100  # a picture of a thousand rows is one that no viewer opens


def check_name(path: Path) -> None:
    """Make sure, before any work, that a picture can have this name.

    Raises:
        UsageError: it is not that of a PNG, or there is no such folder: that may be a slip.
    """
    if path.suffix.lower() != ".png":
        raise UsageError("A picture is a PNG.", received=path, accepted="FILE.png", remedy="give it such a name")
    if not path.parent.is_dir():
        raise UsageError(
            "The folder of the picture is not there.",
            received=path,
            accepted="FILE.png in a folder that there is",
            remedy=f"make it, `mkdir -p {shlex.quote(str(path.parent))}`, or name another",
        )


def draw(inspection: Inspection) -> Pixels:
    """A title and a row of images for each of the first 100 classes; the images are some, spread by their digests.

    Returns:
        RGB, (height, width, 3), uint8; the images are of the network's size, and the width is that of eight of them.
    """
    rows = [row for label in range(min(len(inspection.labels), _ROWS)) for row in _class_rows(inspection, label)]
    return np.pad(np.vstack(rows), ((_GAP, _GAP), (_GAP, _GAP), (0, 0)), constant_values=_WHITE)


def write(path: Path, picture: Pixels) -> None:
    """Write a picture as PNG.

    Raises:
        DeviceError: it cannot be written.
    """
    write_atomically(path, cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes())


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


def draw_text(image: Pixels, text: str, origin: tuple[int, int]) -> None:
    """Draw a line of black text, 17 pixels high, from its lower left corner (x, y).

    OpenCV before 5 has a font of ASCII alone, and draws ? for the rest.
    """
    if hasattr(cv2, "FontFace"):
        cv2.putText(image, text, origin, _BLACK, cv2.FontFace("sans"), 17)
    else:
        cv2.putText(image, text, origin, cv2.FONT_HERSHEY_SIMPLEX, 0.55, _BLACK, 1, cv2.LINE_AA)
