"""A frame as the bytes that viewers get."""

from typing import cast

import cv2

from edgecnn.device.draw import picture_of
from edgecnn.device.frames import Answer
from edgecnn.preprocess import Pixels

LONGEST_SIDE = 960
QUALITY, SNAPSHOT_QUALITY = 80, 95


def part(answer: Answer) -> bytes:
    """A part of a ``multipart/x-mixed-replace`` with the boundary ``frame``, no larger than a page has room for.

    Where the network looks is drawn over it, where that was asked for. It ends with the boundary of the next: browsers
    show a picture when they have seen that.
    """
    picture = jpeg(_smaller(picture_of(answer)), quality=QUALITY)
    head = f"Content-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n".encode()
    return b"".join((head, picture, b"\r\n--frame\r\n"))


def jpeg(image: Pixels, *, quality: int) -> bytes:
    """Encode RGB, (height, width, 3), uint8."""
    whole, encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, quality))
    assert whole
    return encoded.tobytes()


def _smaller(image: Pixels) -> Pixels:
    height, width = image.shape[:2]
    scale = LONGEST_SIDE / max(height, width)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cast(Pixels, cv2.resize(image, size, interpolation=cv2.INTER_AREA))
