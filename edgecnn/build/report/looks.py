"""Pictures of single images, and of what the file looked at when it answered."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecnn.inference import Classifier
from edgecnn.preprocess import Pixels

PATCHES = 7  # a side; neighbours overlap by half
_PHOTO_FROM = 65  # pixels a side, from which on a JPEG is the smaller picture and nobody sees it
_WIDEST = 1200


@dataclass(frozen=True, kw_only=True)
class Look:
    """Where a file looked at in an image.

    Attributes:
        map: (h, w) float32, 0 to 1; all 0 where no place by itself matters.
        largest: by how much the score of its answer falls without the place that matters most; None for a class map.
    """

    map: NDArray[np.float32]
    largest: float | None


def look(classifier: Classifier, image: Pixels, answer: int) -> Look:
    """The class map of an answer, where the file has such maps, else what hiding a part of the image does to its score.

    Occlusion (Zeiler & Fergus 2014, arXiv:1311.2901): patches in the image's mean colour.

    Args:
        classifier: of the file.
        image: (height, width, channels) uint8, at the network's size.
        answer: the class.
    """
    before = _score(classifier, image, answer)
    if classifier.map_shape is not None:
        return Look(map=classifier.class_map(answer), largest=None)
    height, width = image.shape[:2]
    mean = image.reshape(-1, image.shape[2]).mean(axis=0).astype(np.uint8)
    falls, covered = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    largest = 0.0
    for rows in _spans(height):
        for columns in _spans(width):
            hidden = image.copy()
            hidden[rows, columns] = mean
            fall = max(0.0, before - _score(classifier, hidden, answer))
            falls[rows, columns] += fall
            covered[rows, columns] += 1
            largest = max(largest, fall)
    falls /= covered
    return Look(map=falls / falls.max() if falls.max() > 0 else falls, largest=round(largest, 6))


def _score(classifier: Classifier, image: Pixels, answer: int) -> float:
    classifier.invoke(classifier.preprocess(image))
    return float(classifier.scores()[answer])


def _spans(side: int) -> Sequence[slice]:
    """`PATCHES` pieces of a side, each a quarter of it, from one end to the other."""
    size = max(1, round(2 * side / (PATCHES + 1)))
    starts = np.unique(np.linspace(0, side - size, PATCHES).round().astype(int))
    return [slice(start, start + size) for start in starts]


def picture(image: Pixels) -> str:
    """An image as a ``data:`` address: (height, width, 1 or 3) uint8, grey or RGB."""
    shown = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.shape[2] == 3 else image
    if min(image.shape[:2]) < _PHOTO_FROM:
        return _address("png", shown)
    return _address("jpeg", shown, cv2.IMWRITE_JPEG_QUALITY, 88)


def overlay(found: NDArray[np.float32], image: Pixels) -> str:
    """What was looked at, in colour over a grey copy of the image, as a ``data:`` address.

    The colours are viridis's, which every kind of colour vision tells apart, also by lightness alone.
    """
    height, width = image.shape[:2]
    scale = 1 if min(height, width) >= _PHOTO_FROM else -(-_PHOTO_FROM // min(height, width))
    size = (width * scale, height * scale)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.shape[2] == 3 else image[:, :, 0]
    grey = cv2.resize(grey, size, interpolation=cv2.INTER_NEAREST)[:, :, None]
    level = cv2.GaussianBlur(cv2.resize(found, size, interpolation=cv2.INTER_CUBIC), (0, 0), min(size) / 24)
    level = np.clip(level / max(float(level.max()), 1e-6), 0, 1)  # patches have edges, what was looked at has none
    colour = cv2.applyColorMap((255 * level).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    weight = (0.25 + 0.45 * level)[:, :, None]
    mixed = (grey * (1 - weight) + colour * weight).astype(np.uint8)
    return _address("jpeg", mixed, cv2.IMWRITE_JPEG_QUALITY, 88)


def page_picture(path: Any) -> str:
    """A picture on disk, smaller in pixels and in bytes, as a ``data:`` address; empty where it cannot be read."""
    image = cv2.imread(str(path))
    if image is None:
        return ""
    if image.shape[1] > _WIDEST:
        height = round(image.shape[0] * _WIDEST / image.shape[1])
        image = cv2.resize(image, (_WIDEST, height), interpolation=cv2.INTER_AREA)
    return _address("webp", image, cv2.IMWRITE_WEBP_QUALITY, 80)


def matrix_picture(counts: Sequence[Sequence[int]], classes: int) -> str:
    """A confusion matrix of many classes as a ``data:`` address: rows true, columns answered, a pixel a class or more.

    Args:
        counts: (true, answered, images) of each pair that there is.
        classes: how many there are.
    """
    side = min(classes, 250)
    cells, totals = np.zeros((side, side)), np.zeros(side)
    for true, answered, number in counts:
        cells[true * side // classes, answered * side // classes] += number
        totals[true * side // classes] += number
    share = cells / np.maximum(totals, 1)[:, None]
    image = np.zeros((side, side, 4), np.uint8)  # see-through where there is nothing: it lies on any ground
    right = np.eye(side, dtype=bool)
    image[right] = (113, 160, 18, 0)  # BGR: the house's green, and an orange that is told from it
    image[~right] = (0, 94, 213, 0)
    image[:, :, 3] = np.where(share > 0, 60 + 195 * np.sqrt(share), 0).astype(np.uint8)
    return _address("png", image)


def _address(kind: str, image: NDArray[Any], *options: int) -> str:
    data = cv2.imencode(f".{kind}", image, list(options))[1].tobytes()
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
