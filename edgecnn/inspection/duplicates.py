"""Near duplicates: one photo that was saved again, smaller or a little brighter, is still that photo.

Two steps, for each alone is wrong too often. A perceptual hash (the pHash of Zauner, "Implementation and Benchmarking
of Perceptual Image Hash Functions", 2010) finds candidates fast; thumbnails in colour decide. Both figures below were
measured: benchmarks/near_duplicates.py.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecnn.preprocess import Pixels

BITS_APART = 6
"""Candidates differ in at most so many of 63 bits. It must be under 7: see `near_duplicates`."""
ALIKE = 0.97
"""The least correlation of the thumbnails of near duplicates."""
THUMB = (8, 8, 3)
_FLAT = 8  # a thumbnail whose values differ by less shows a wall or a black frame, and those are all alike
_REACH = 64  # the largest run of CIFAR-10 has 122; a folder of one thing in 100,000 colours is no reason to go n * n


def fingerprint(frame: Pixels) -> tuple[int, Pixels]:
    """What is kept of an image.

    Args:
        frame: RGB, (height, width, 3), uint8.

    Returns:
        The hash, 64 bits of which the last is 0, and a thumbnail, `THUMB`, uint8.
    """
    small = cv2.resize(frame, (16, 16), interpolation=cv2.INTER_AREA)
    waves = cv2.dct(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32))[:8, :8].ravel()[1:]  # brightness is out
    bits = np.packbits(waves > np.median(waves))
    thumb = cv2.resize(small, THUMB[:2], interpolation=cv2.INTER_AREA)
    return int.from_bytes(bits.tobytes(), "little"), cast(Pixels, thumb)


def near_duplicates(hashes: NDArray[np.uint64], thumbs: Pixels) -> NDArray[np.int64]:
    """Group the images that are near duplicates of each other, directly or through others.

    Two hashes that differ in at most 6 bits have at least two of their 8 bytes in common. So images are sorted by each
    of the 28 pairs of bytes, and compared inside the runs of equal ones (Manku, Jain, Das Sarma, "Detecting
    Near-Duplicates for Web Crawling", 2007), each with the 64 that follow it at most: in time n log n and memory n.

    Args:
        hashes: (n,), of `fingerprint`.
        thumbs: (n, 8, 8, 3), of `fingerprint`.

    Returns:
        (n,), for each image the index of the first of its group; its own where it has no near duplicate.
    """
    first = np.arange(len(hashes))
    telling = np.flatnonzero(thumbs.max(axis=(1, 2, 3)).astype(int) - thumbs.min(axis=(1, 2, 3)) >= _FLAT)
    parts = hashes.view(np.uint8).reshape(-1, 8).astype(np.uint32)
    for one, other in combinations(range(8), 2):
        key = parts[:, one] << 8 | parts[:, other]
        order = telling[np.lexsort((hashes[telling], key[telling]))]
        for a, b in _runs(key[order]):
            a, b = order[a], order[b]
            a, b = _only(first[a] != first[b], a, b)
            a, b = _only(_bits_apart(hashes[a], hashes[b]) <= BITS_APART, a, b)
            a, b = _only(_correlation(thumbs[a], thumbs[b]) >= ALIKE, a, b)
            first = _united(first, a, b)
    return first


def _runs(keys: NDArray[Any]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs of places with equal keys in a sorted array: those next to each other, then those with one between..."""
    places = np.arange(len(keys))
    for distance in range(1, _REACH + 1):
        places = places[places + distance < len(keys)]
        places = places[keys[places] == keys[places + distance]]
        if not len(places):
            return
        yield places, places + distance


def _only(
    true: NDArray[np.bool_], a: NDArray[np.int64], b: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return a[true], b[true]


def _bits_apart(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> NDArray[np.int64]:
    differing = np.unpackbits((a ^ b).view(np.uint8).reshape(-1, 8), axis=1)
    return cast(NDArray[np.int64], differing.sum(axis=1, dtype=np.int64))


def _correlation(a: Pixels, b: Pixels) -> NDArray[np.float32]:
    """Of thumbnails that are not flat; as it is of all channels together, other colours are other images."""
    flat = [each.reshape(-1, int(np.prod(THUMB))).astype(np.float32) for each in (a, b)]
    x, y = (each - each.mean(axis=1, keepdims=True) for each in flat)
    return cast(NDArray[np.float32], (x * y).sum(axis=1) / np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1)))


def _united(first: NDArray[np.int64], a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    """The groups after each a[i] was found to belong with b[i]."""
    for pair in zip(a.tolist(), b.tolist(), strict=True):
        roots = [_root(first, each) for each in pair]
        first[max(roots)] = min(roots)
    while len(a) and (first[first] != first).any():
        first = first[first]
    return first


def _root(first: NDArray[np.int64], place: int) -> int:
    while first[place] != place:
        place = int(first[place])
    return place
