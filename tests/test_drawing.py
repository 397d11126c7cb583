from pathlib import Path

import cv2
import numpy as np
import pytest

from edgecnn import drawing
from edgecnn.errors import UsageError


def test_the_file_is_a_png_of_the_picture(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    drawing.write(tmp_path / "out" / "noise.PNG", picture)
    read = cv2.imread(str(tmp_path / "out" / "noise.PNG"))
    assert read is not None
    assert np.array_equal(read[:, :, ::-1], picture)


def test_a_picture_of_another_kind_is_refused() -> None:
    drawing.check_name(Path("a.png"))
    with pytest.raises(UsageError):
        drawing.check_name(Path("a.jpg"))


def test_a_picture_makes_no_folder_that_may_be_a_slip(tmp_path: Path) -> None:
    drawing.check_name(tmp_path / "a.png")
    with pytest.raises(UsageError) as caught:
        drawing.check_name(tmp_path / "no such" / "a.png")
    assert f"mkdir -p '{tmp_path}/no such'" in caught.value.remedy
