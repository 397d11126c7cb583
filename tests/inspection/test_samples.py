from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgecnn.inspection import INPUT, inspect_folder, samples

COLOURS = {"Ünïcode 猫": (200, 30, 30), "a name that is much too long for the width of the picture" * 3: (30, 30, 200)}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Of the first class three images, of the second eleven, each class in one colour."""
    for (name, colour), count in zip(COLOURS.items(), (3, 11), strict=True):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(count):
            image = np.full((40 + number, 60, 3), colour, np.uint8)
            data = cv2.imencode(".png", image[:, :, ::-1])[1].tobytes()
            (tmp_path / "photos" / name / f"{number}.png").write_bytes(data)
    return tmp_path / "photos"


def test_each_class_is_a_row_of_its_images_as_the_network_sees_them(photos: Path, progress: Any) -> None:
    picture = samples.draw(inspect_folder(photos, progress))
    for colour, count in zip((COLOURS[name] for name in sorted(COLOURS)), (11, 3), strict=True):
        shown = (picture == colour).all(axis=2)
        assert shown.sum() == INPUT.height * INPUT.width * min(count, 8)
        assert shown.any(axis=1).sum() == INPUT.height


def test_above_each_row_there_is_its_name(photos: Path, progress: Any) -> None:
    picture = samples.draw(inspect_folder(photos, progress))
    rows = np.flatnonzero((picture < 100).all(axis=2).any(axis=1))  # black on white, and no image is
    assert len(np.split(rows, np.flatnonzero(np.diff(rows) > 20) + 1)) == 2


def test_without_the_fonts_of_opencv_5_there_is_still_a_name(
    photos: Path, progress: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(cv2, "FontFace", raising=False)
    test_above_each_row_there_is_its_name(photos, progress)


def test_a_class_without_an_image_has_its_name(photos: Path, progress: Any) -> None:
    whole = samples.draw(inspect_folder(photos, progress))
    for path in (photos / min(COLOURS)).iterdir():
        path.write_bytes(b"")
    assert samples.draw(inspect_folder(photos, progress)).shape == whole.shape
