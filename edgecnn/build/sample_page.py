"""A page of training images as the network sees them, for a look before hours of training."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgecnn import drawing
from edgecnn.build.recipe import Context
from edgecnn.preprocess import Pixels

SAMPLES_FILE = "samples.png"
_CLASSES, _COLUMNS = 10, 8
_SMALLEST, _LARGEST = 72, 128  # sides of an image on the page, pixels
_GAP, _MARGIN, _HEADER = 4, 150, 26  # between images, left of them, above them
_PAPER = 245


def write_samples(context: Context, folder: Path) -> Path:
    """Write the page: a row a class, its first image as it is, then that one and others after all augmentations.

    Args:
        context: gives the training split, the augmentations and the seed.
        folder: where ``samples.png`` goes.
    """
    drawing.write(folder / SAMPLES_FILE, page_of(context))
    return folder / SAMPLES_FILE


def page_of(context: Context) -> Pixels:
    """(height, width, 3) uint8 RGB: see `write_samples`. Of over 10 classes, 10 that are spread over all."""
    names = context.data.labels
    shown = np.unique(np.linspace(0, len(names) - 1, min(len(names), _CLASSES)).astype(int))
    plain, changed = _rows(context, shown)
    height, width = _on_page(*plain.shape[2:4])
    page = np.full((_HEADER + len(shown) * (height + _GAP), _MARGIN + _COLUMNS * (width + _GAP), 3), _PAPER, np.uint8)
    drawing.draw_text(page, "as it is", (_MARGIN, _HEADER - 9))
    drawing.draw_text(page, "as the network is trained on them", (_MARGIN + width + _GAP, _HEADER - 9))
    for row, label in enumerate(shown):
        top = _HEADER + row * (height + _GAP)
        drawing.draw_text(page, _fitting(names[label]), (8, top + height // 2 + 5))
        for column, image in enumerate([plain[row, 0], *changed[row]]):
            left = _MARGIN + column * (width + _GAP)
            smooth = cv2.INTER_AREA if height < len(image) else cv2.INTER_NEAREST  # enlarged, pixels are pixels
            sized = cv2.resize(image, (width, height), interpolation=smooth)
            page[top : top + height, left : left + width] = sized.reshape(height, width, -1)
    return page


def _on_page(height: int, width: int) -> tuple[int, int]:
    """Small images are enlarged by a whole factor, large ones made smaller."""
    side = min(height, width)
    factor = -(-_SMALLEST // side) if side < _SMALLEST else min(1.0, _LARGEST / side)
    return round(height * factor), round(width * factor)


def _rows(context: Context, shown: Any) -> tuple[Pixels, Pixels]:
    """The images of a page as they are and augmented, (classes, columns - 1, height, width, channels) uint8.

    All of them are one batch, so that a mixture is of what a batch mixes. A class of few images begins again.
    """
    from edgecnn.build import feed
    from edgecnn.build.keras import tf

    train = context.data["train"]
    order = np.concatenate([np.resize(np.flatnonzero(train.labels == label), _COLUMNS - 1) for label in shown])
    pixels, labels = train.pixels[order], train.labels[order]
    seed = (context.recipe.seed, tf.constant(0, tf.int64))
    batch, _ = feed.augmented(
        tf.constant(pixels), tf.constant(labels), context.recipe.augment, len(context.data.labels), seed
    )
    shape = (len(shown), _COLUMNS - 1, *pixels.shape[1:])
    return pixels.reshape(shape), feed.pixels_of(batch).reshape(shape)


def _fitting(name: str) -> str:
    """What fits into the margin."""
    return name if len(name) <= 15 else name[:13] + ".."
