"""How a file stores its pixels where that is not 8-bit RGB, and what reading it does about that."""

from collections.abc import Iterator

import cv2
import numpy as np

HANDLED: dict[str, str] = {
    "grey": "gives them three equal channels",
    "alpha": "drops alpha: what was transparent shows the colour that is stored below it",
    "CMYK": "converts them to RGB without a colour profile, so colours may be off",
    "16-bit": "takes the upper 8 bits of each value",
    "animated": "takes the first picture",
}
_PNG_KINDS = {0: ("grey",), 4: ("grey", "alpha"), 6: ("alpha",)}  # the colour types of IHDR; the others are RGB
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # the JPEG markers of a frame's header


def oddities(data: bytes) -> tuple[str, ...]:
    """What of `HANDLED` is true of an image file.

    Args:
        data: the bytes of a file that `edgecnn.images.decode_image` reads.
    """
    if data.startswith(b"\xff\xd8"):
        return {1: ("grey",), 4: ("CMYK",)}.get(_jpeg_channels(data), ())
    if data.startswith(b"\x89PNG"):
        return _PNG_KINDS.get(data[25], ()) + (("16-bit",) if data[24] == 16 else ())
    return _stored(data)


def _stored(data: bytes) -> tuple[str, ...]:
    """Of a format whose header is not read here: OpenCV says it, at the price of decoding it again."""
    pictures = cv2.imdecodemulti(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED, range=(0, 2))[1]
    if not pictures:
        return ()
    channels = pictures[0].shape[2] if pictures[0].ndim == 3 else 1
    kinds = {1: ("grey",), 2: ("grey", "alpha"), 4: ("alpha",)}.get(channels, ())
    deep = ("16-bit",) if pictures[0].dtype == np.uint16 else ()
    return kinds + deep + (("animated",) if len(pictures) > 1 else ())


def _jpeg_channels(data: bytes) -> int:
    """How many components the frame has; 3 where no header says it."""
    return next((data[place + 9] for place in _segments(data) if data[place + 1] in _FRAMES), 3)


def _segments(data: bytes) -> Iterator[int]:
    """Where each segment of a JPEG begins, up to the first scan."""
    place = 2
    while place + 9 < len(data) and data[place] == 0xFF and data[place + 1] != 0xDA:
        if data[place + 1] == 0xFF:  # padding
            place += 1
            continue
        yield place
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
