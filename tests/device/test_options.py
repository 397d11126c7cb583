import numpy as np
import pytest

from edgecnn.device.options import CameraOptions, Region, as_typed
from edgecnn.preprocess import Pixels


@pytest.fixture
def picture() -> Pixels:
    """2 rows, 3 columns: 0 1 2, 3 4 5."""
    return np.repeat(np.arange(6, dtype=np.uint8).reshape(2, 3, 1), 3, axis=2)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (CameraOptions(), [[0, 1, 2], [3, 4, 5]]),
        (CameraOptions(rotation=90), [[3, 0], [4, 1], [5, 2]]),
        (CameraOptions(rotation=180), [[5, 4, 3], [2, 1, 0]]),
        (CameraOptions(rotation=270), [[2, 5], [1, 4], [0, 3]]),
        (CameraOptions(mirror=True), [[2, 1, 0], [5, 4, 3]]),
        (CameraOptions(rotation=90, mirror=True), [[0, 3], [1, 4], [2, 5]]),
        (CameraOptions(region=Region(1, 0, 2, 2)), [[1, 2], [4, 5]]),
        (CameraOptions(rotation=90, region=Region(0, 1, 2, 1)), [[4, 1]]),
        (CameraOptions(region=Region(0, 0, 1, 0.5)), [[0, 1, 2]]),
        (CameraOptions(region=Region(0.9, 0.9, 0.01, 0.01)), [[5]]),
        (CameraOptions(region=Region(0, 0, 1, 1)), [[0, 1, 2], [3, 4, 5]]),
    ],
)
def test_a_picture_is_turned_then_mirrored_then_cut(
    options: CameraOptions, expected: list[list[int]], picture: Pixels
) -> None:
    assert options.apply(picture)[:, :, 0].tolist() == expected
    assert options.changes_pictures == (options != CameraOptions())


@pytest.mark.parametrize(
    ("options", "problems"),
    [
        (CameraOptions(size=(480, 640), rate=30, rotation=90, mirror=True, region=Region(0.25, 0, 0.5, 1)), 0),
        (CameraOptions(region=Region(100, 50, 320, 240)), 0),
        (CameraOptions(region=Region(0, 0, 1, 240)), 0),
        (CameraOptions(size=(0, 640), rate=-1, rotation=45, stall_s=0, region=Region(-1, 0, 0, 0)), 5),  # type: ignore[arg-type]
        (CameraOptions(rate=float("nan"), stall_s=float("inf"), region=Region(0.6, 0, 0.5, 1)), 3),
        (CameraOptions(region=Region(float("nan"), 0, 1, 1)), 1),
        (CameraOptions(rate=10, realtime=True), 1),
    ],
)
def test_all_problems_are_found(options: CameraOptions, problems: int) -> None:
    assert len(options.problems()) == problems


def test_a_size_as_people_write_it() -> None:
    assert as_typed((480, 640)) == "640x480"
