"""Photographs without labels: what they are for, and a build that has no others."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgecnn import Bundle, InputSpec, shapes
from edgecnn.build import Folder, Photographs, pipeline, recipes
from edgecnn.build.cache import Cache
from edgecnn.build.sources import at
from edgecnn.errors import DataError, UsageError
from edgecnn.evaluation import UNKNOWN
from tests.build.tiny_recipe import recipe as tiny

SPEC = InputSpec(height=32, width=32)
LABELS = ("cat", "dog")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sixteen pictures, two of them the same, in folders that mean nothing, and what is no picture."""
    for number in range(16):
        picture = shapes.render(number % 9, np.random.default_rng(min(number, 14)), (48, 64))
        path = tmp_path / "photos" / ("trip" if number % 2 else "home") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), picture)
    (tmp_path / "photos" / "notes.txt").write_text("not one of them")
    (tmp_path / "photos" / "cut.jpg").write_bytes(b"\xff\xd8\xff")
    return tmp_path / "photos"


def test_half_calibrates_and_half_measures(folder: Path, progress: Any) -> None:
    data = Photographs(labels=LABELS, path=str(folder)).open(SPEC)
    splits = data.load(progress).splits
    sizes = {split: len(images) for split, images in splits.items()}
    assert sizes["train"] == sizes["validation"] == 0
    assert sizes["calibration"] > 0 < sizes["test"]
    assert sizes["calibration"] + sizes["test"] == len({path.read_bytes() for path in folder.rglob("*.png")})
    assert (data["test"].labels == UNKNOWN).all()
    assert data["test"].pixels.shape == (sizes["test"], 32, 32, 3)
    assert [Path(path).name for path, _ in data.load(progress).left_out] == ["cut.jpg"]


def test_every_photograph_that_cannot_be_read_is_listed(folder: Path, progress: Any) -> None:
    (folder / "home" / "broken.jpg").symlink_to("nowhere.jpg")
    os.mkfifo(folder / "trip" / "fifo.jpg")
    data = Photographs(labels=LABELS, path=str(folder)).open(SPEC)
    left_out = [Path(path).name for path, _ in data.load(progress).left_out]
    assert left_out == ["cut.jpg", "broken.jpg", "fifo.jpg"]


def test_data_of_a_recipe_without_labels_is_any_folder(folder: Path) -> None:
    mine = Photographs(labels=LABELS)
    assert at(folder, mine) == replace(mine, path=str(folder))
    assert isinstance(at(folder, Folder(path="photos")), Folder)


def test_too_few_are_refused_and_so_is_a_folder_that_is_not_there(tmp_path: Path, progress: Any) -> None:
    cv2.imwrite(str(tmp_path / "one.png"), np.zeros((40, 40, 3), np.uint8))
    with pytest.raises(DataError, match="too few photographs"):
        Photographs(labels=LABELS, path=str(tmp_path)).open(SPEC).load(progress)
    with pytest.raises(DataError, match="no such folder"):
        Photographs(labels=LABELS, path=str(tmp_path / "nowhere")).open(SPEC)


def test_nothing_trains_on_them(folder: Path, tmp_path: Path, progress: Any) -> None:
    recipe = replace(tiny(), data=Photographs(labels=shapes.CLASSES, path=str(folder)))
    with pytest.raises(UsageError, match="nothing to train on") as caught:
        pipeline.run(recipe, out=tmp_path / "out", progress=progress, cache=Cache(tmp_path / "cache"))
    assert "train" in caught.value.received


def test_imagenet_without_labels_says_no_accuracy(folder: Path, tmp_path: Path, progress: Any) -> None:
    recipe = recipes.find("imagenet", data=folder, quick=True)
    report = pipeline.run(recipe, out=tmp_path / "out", progress=progress, cache=Cache(tmp_path / "cache"))
    assert [report[kind]["accuracy"] for kind in ("float", "ptq", "int8")] == [None] * 3
    assert report["int8"]["accuracy_interval"] is None
    assert report["int8"]["per_class"] == {}
    assert 0 <= report["int8"]["agreement"] <= 1
    bundle = Bundle.read(Path(report["model"]["path"]))
    assert len(bundle.labels) == 1000
    assert (bundle.labels[0], bundle.labels[999]) == ("tench", "toilet tissue")
    assert bundle.input == recipe.input
    assert (bundle.temperature, bundle.threshold) == (1.0, None)
    assert report["confidence"]["ece"] is None


def test_the_photographs_that_come_along_are_those_of_the_manifest() -> None:
    import hashlib
    import json

    from edgecnn.build.photographs import shipped

    manifest = json.loads((shipped() / "manifest.json").read_text())
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in shipped().glob("*.jpg")}
    assert found == {each["file"]: each["sha256"] for each in manifest["images"]}
    assert len(found) >= 30
    assert {each["licence"] for each in manifest["images"]} <= {"CC0-1.0", "public domain"}
    assert all(each["source"] and each["evidence"] for each in manifest["images"])
    assert sum(path.stat().st_size for path in shipped().iterdir()) <= 5_000_000
