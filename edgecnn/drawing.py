"""What the pictures that commands write share: whether they can have that name, a line of text, a PNG."""

import shlex
from pathlib import Path

import cv2

from edgecnn.errors import UsageError
from edgecnn.files import write_atomically
from edgecnn.preprocess import Pixels

_BLACK = (0, 0, 0)


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


def write(path: Path, picture: Pixels) -> None:
    """Write a picture as PNG.

    Raises:
        DeviceError: it cannot be written.
    """
    write_atomically(path, cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes())


def draw_text(image: Pixels, text: str, origin: tuple[int, int]) -> None:
    """Draw a line of black text, 17 pixels high, from its lower left corner (x, y).

    OpenCV before 5 has a font of ASCII alone, and draws ? for the rest.
    """
    if hasattr(cv2, "FontFace"):
        cv2.putText(image, text, origin, _BLACK, cv2.FontFace("sans"), 17)
    else:
        cv2.putText(image, text, origin, cv2.FONT_HERSHEY_SIMPLEX, 0.55, _BLACK, 1, cv2.LINE_AA)
