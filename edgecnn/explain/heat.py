"""Pictures of what a network looks at and of what it has learned: heat over a photo, filters, feature maps."""

from collections.abc import Sequence
from math import ceil, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecnn.drawing import draw_text
from edgecnn.preprocess import Pixels

_TILE, _GAP, _LINE, _TEXT = 240, 8, 22, 330  # pixels: an image's longer side, between parts, a line, the column of text
_WHITE = 255
_MOST = 0.75  # of the photo's colour that heat takes away where it is hottest
_CHANNELS = 64  # of a layer that are drawn


def row(frame: Pixels, heat: NDArray[np.float32], region: tuple[int, int, int, int], lines: Sequence[str]) -> Pixels:
    """A photo, the same with the heat over it, and some words.

    Args:
        frame: (any height, any width, 3) uint8 RGB.
        heat: (h, w) float32 from 0 to 1, over the region.
        region: the part of the frame that the network sees: (top, left, height, width) in pixels.
        lines: of text, which are cut where the column ends.

    Returns:
        RGB, uint8, of one size whatever the frame's is: a row of a sheet.
    """
    height, width = frame.shape[:2]
    scale = _TILE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    top, left, bottom, right = (
        round(edge * of / whole)
        for edge, of, whole in (
            (region[0], size[1], height),
            (region[1], size[0], width),
            (region[0] + region[2], size[1], height),
            (region[1] + region[3], size[0], width),
        )
    )
    part = np.s_[top : max(bottom, top + 1), left : max(right, left + 1)]
    parts = [
        _boxed(np.asarray(small, np.uint8)),
        _boxed(_heated(np.asarray(small, np.uint8), heat, part)),
        _words(lines),
    ]
    return np.pad(np.hstack(parts), ((_GAP // 2, _GAP // 2), (_GAP, 0), (0, 0)), constant_values=_WHITE)


def _heated(image: Pixels, heat: NDArray[np.float32], part: tuple[slice, slice]) -> Pixels:
    """The photo in grey, and in the colours of the heat where there is any; what the network does not see is pale."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    drawn, seen = (grey // 3 + 165).astype(np.uint8), grey[part]
    fine = np.clip(cv2.resize(heat, seen.shape[1::-1], interpolation=cv2.INTER_LINEAR), 0, 1)
    colours = cv2.applyColorMap(np.round(fine * 255).astype(np.uint8), cv2.COLORMAP_TURBO)[:, :, ::-1]
    share = (np.sqrt(fine) * _MOST)[:, :, np.newaxis]
    drawn[part] = seen * (1 - share) + colours * share
    return drawn


def _boxed(image: Pixels) -> Pixels:
    """At the top of a white square of one size, in its middle from left to right."""
    box = np.full((_TILE, _TILE + _GAP, 3), _WHITE, np.uint8)
    left = (_TILE - image.shape[1]) // 2
    box[: image.shape[0], left : left + image.shape[1]] = image
    return box


def _words(lines: Sequence[str]) -> Pixels:
    column = np.full((_TILE, _TEXT, 3), _WHITE, np.uint8)
    for number, line in enumerate(lines[: _TILE // _LINE], start=1):
        draw_text(column, line, (4, number * _LINE - 5))
    return column


def filters(kernels: NDArray[np.float32]) -> Pixels:
    """A tile for each filter of a first convolution; the middle grey is a weight of 0, and each uses its own range.

    Args:
        kernels: (filters, height, width, 1 or 3) float32.
    """
    most = np.abs(kernels).max(axis=(1, 2, 3), keepdims=True)
    tiles = np.round(127.5 + 127.5 * kernels / np.where(most > 0, most, 1)).astype(np.uint8)
    return _grid([np.broadcast_to(tile, (*tile.shape[:2], 3)) for tile in tiles], 64)


def features(maps: NDArray[np.float32]) -> Pixels:
    """A tile for each of the first 64 channels of a layer's result; all have one range, from the darkest up.

    Args:
        maps: (height, width, channels) float32.
    """
    low, high = float(maps.min()), float(maps.max())
    tiles = np.round((maps - low) / ((high - low) or 1) * 255).astype(np.uint8)
    drawn = [
        cv2.applyColorMap(np.ascontiguousarray(tiles[:, :, channel]), cv2.COLORMAP_VIRIDIS)[:, :, ::-1]
        for channel in range(min(_CHANNELS, maps.shape[2]))
    ]
    return _grid([np.asarray(tile, np.uint8) for tile in drawn], 96)


def _grid(tiles: Sequence[Pixels], least: int) -> Pixels:
    """About as many across as down, each enlarged by a whole number to ``least`` pixels, so that every cell is seen."""
    factor = max(1, ceil(least / max(tiles[0].shape[:2])))
    large = [
        np.pad(np.kron(tile, np.ones((factor, factor, 1), np.uint8)), ((2, 2), (2, 2), (0, 0)), constant_values=_WHITE)
        for tile in tiles
    ]
    across = ceil(sqrt(len(large)))
    large += [np.full_like(large[0], _WHITE)] * (-len(large) % across)
    return np.vstack([np.hstack(large[start : start + across]) for start in range(0, len(large), across)])
