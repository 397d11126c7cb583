"""An answer drawn into its frame, for windows and recordings."""

import unicodedata
from typing import cast

import cv2
import numpy as np

from edgecnn.device.frames import Answer
from edgecnn.inference import Prediction
from edgecnn.preprocess import Pixels

ROWS = 3
_WHITE, _DIM, _GREEN, _GREY = (255, 255, 255), (190, 190, 190), (96, 200, 120), (90, 90, 90)
_HEAT, _WARM = 0.65, (255, 96, 0)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def annotated(answer: Answer) -> Pixels:
    """The frame with what is shown, and a bar for each of the best classes, on a darkened band at its foot.

    Letters grow with the frame. OpenCV's fonts have no letters but ASCII: accents are left away, and a label that has
    none of them is named by its index.

    Returns:
        A new image, RGB, (height, width, 3), uint8, of the frame's own size.
    """
    image = picture_of(answer).copy()
    height, width = image.shape[:2]
    scale = max(0.3, min(height / 480, width / 480))
    line, pad = round(22 * scale), round(8 * scale)
    top = max(0, height - (ROWS + 2) * line)
    image[top:] = image[top:] // 4
    shown = answer.shown
    title = "unknown" if shown is None else f"{drawable(shown)}  {shown.score:.2f}"
    _text(image, title, (pad, top + round(1.3 * line)), 0.8 * scale, _DIM if shown is None else _WHITE)
    for row, prediction in enumerate(answer.steady[:ROWS]):
        _bar(image, prediction, top + round((row + 1.75) * line), line, scale, first=row == 0)
    return image


def picture_of(answer: Answer) -> Pixels:
    """The frame, with where the network looks in warm colours, where that was asked for: RGB, (height, width, 3)."""
    if answer.looking is None:
        return answer.frame.image
    image = answer.frame.image.copy()
    top, left, height, width = answer.looking.region
    seen = image[top : top + height, left : left + width]
    heat = cv2.resize(answer.looking.map, (width, height), interpolation=cv2.INTER_CUBIC)
    strength = (np.clip(heat, 0, 1) ** 2 * _HEAT)[:, :, np.newaxis]
    seen[:] = seen + strength * (np.array(_WARM, np.float32) - seen)
    return image


def drawable(prediction: Prediction) -> str:
    """Its label in ASCII, or its index where nothing is left of the label."""
    plain = unicodedata.normalize("NFKD", prediction.label).encode("ascii", "ignore").decode().strip()
    return plain or f"class {prediction.index}"


def _bar(image: Pixels, prediction: Prediction, top: int, line: int, scale: float, *, first: bool) -> None:
    width, pad = image.shape[1], round(8 * scale)
    start, end = width // 2, width - pad
    score = float(np.clip(np.nan_to_num(prediction.score), 0, 1))
    _text(image, drawable(prediction), (pad, top + round(0.7 * line)), 0.5 * scale, _WHITE if first else _DIM)
    cv2.rectangle(image, (start, top + line // 4), (end, top + round(0.7 * line)), _GREY, cv2.FILLED)
    filled = start + round((end - start) * score)
    if filled > start:
        cv2.rectangle(image, (start, top + line // 4), (filled, top + round(0.7 * line)), _GREEN, cv2.FILLED)


def _text(image: Pixels, text: str, at: tuple[int, int], scale: float, color: tuple[int, int, int]) -> None:
    """Text that ends where the image does, or for bars at its middle: a label may be long."""
    cv2.putText(image, text, at, _FONT, scale, cast(cv2.typing.Scalar, color), max(1, round(1.6 * scale)), cv2.LINE_AA)
