"""With the project's own renderer, whose pictures are as unlike as photos; on photos: benchmarks/near_duplicates.py."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from edgecnn import shapes
from edgecnn.inspection.duplicates import BITS_APART, THUMB, fingerprint, near_duplicates
from edgecnn.preprocess import Pixels


def picture(seed: int, size: tuple[int, int] = (120, 160)) -> Pixels:
    return shapes.render(seed % len(shapes.CLASSES), np.random.default_rng(seed), size)


def saved(image: Pixels, quality: int = 95) -> Pixels:
    """As JPEG, and read again."""
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(data, cv2.IMREAD_COLOR)  # type: ignore[return-value]


def grouped(images: list[Pixels]) -> list[int]:
    hashes, thumbs = zip(*map(fingerprint, images), strict=True)
    return near_duplicates(np.array(hashes, np.uint64), np.stack(thumbs)).tolist()


CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "quality 50": lambda image: saved(image, 50),
    "half the size": lambda image: saved(cv2.resize(image, None, fx=0.5, fy=0.5)),  # type: ignore[arg-type]
    "5 % brighter": lambda image: saved(cv2.convertScaleAbs(image, alpha=1.05)),  # type: ignore[arg-type]
    "5 % darker": lambda image: saved(cv2.convertScaleAbs(image, alpha=0.95)),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.native("hundreds of pictures")
def test_a_photo_that_was_saved_again_is_found(change: str) -> None:
    originals = [picture(seed) for seed in range(60)]
    groups = grouped([*originals, *map(CHANGES[change], originals)])
    assert groups[:60] == list(range(60))  # no two of the originals
    assert sum(found == number for number, found in enumerate(groups[60:])) >= 59


def test_other_colours_are_another_image() -> None:
    red = picture(3)
    assert grouped([red, np.ascontiguousarray(red[:, :, ::-1])]) == [0, 1]


def test_walls_and_black_frames_are_not_all_one_photo() -> None:
    assert grouped([np.full((50, 50, 3), shade, np.uint8) for shade in (0, 0, 200, 201)]) == [0, 1, 2, 3]


def test_a_group_is_held_together_by_those_between() -> None:
    chain = [picture(5)]
    for _ in range(6):
        chain.append(cv2.convertScaleAbs(chain[-1], alpha=0.93))  # type: ignore[arg-type]
    assert grouped(chain) == [0] * 7


def test_every_hash_within_reach_is_found_and_none_beyond() -> None:
    """Against each bit being compared with each, on hashes that are close together."""
    random = np.random.default_rng(0)
    hashes = np.repeat(random.integers(0, 2**63, 40, np.uint64), 8)
    for _ in range(BITS_APART - 1):
        hashes ^= np.uint64(1) << random.integers(0, 63, len(hashes)).astype(np.uint64)
    thumbs = np.broadcast_to(random.integers(0, 256, THUMB, np.uint8), (len(hashes), *THUMB))
    apart = np.unpackbits((hashes[:, None] ^ hashes).view(np.uint8).reshape(320, 320, 8), axis=2).sum(axis=2)
    expected = apart <= BITS_APART
    while ((wider := expected.astype(int) @ expected > 0) != expected).any():
        expected = wider
    assert near_duplicates(hashes, thumbs).tolist() == expected.argmax(axis=1).tolist()
    assert 40 < len(set(expected.argmax(axis=1).tolist())) < 320


@pytest.mark.parametrize("count", [0, 1])
def test_few_images(count: int) -> None:
    assert near_duplicates(np.zeros(count, np.uint64), np.zeros((count, *THUMB), np.uint8)).tolist() == [0] * count


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 500, 3), (7, 3, 3), (16, 16, 3)])
def test_images_of_any_size_have_a_fingerprint(shape: tuple[int, int, int]) -> None:
    bits, thumb = fingerprint(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    assert 0 <= bits < 2**64
    assert (thumb.shape, thumb.dtype) == (THUMB, np.uint8)
