"""Images of none of the classes: what they choose and measure, and what is refused before anything is trained."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgecnn import Bundle, Classifier, InputSpec
from edgecnn.build import Convert, OutOfSet, Photographs, Shapes, Train, Verify, pipeline
from edgecnn.build.cache import Cache
from edgecnn.build.sources import Folder
from edgecnn.bundle import nothing_classes
from edgecnn.errors import DataError, UsageError
from edgecnn.evaluation import wilson
from edgecnn.images import read_image
from tests.build.tiny_recipe import recipe as tiny

SPEC = InputSpec(height=32, width=32)
STAGES = (Train(epochs=1), Convert(), Verify(runs=3))


def noise(folder: Path, count: int, *, seed: int = 0) -> Path:
    """Pictures that show nothing, in folders that mean nothing."""
    random = np.random.default_rng(seed)
    for number in range(count):
        path = folder / ("deep/er" if number % 3 else "") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), random.integers(0, 256, (40, 40, 3), np.uint8))
    return folder


def build(folder: Path | None, tmp_path: Path, progress: Any, **changes: Any) -> dict[str, Any]:
    strangers = folder and OutOfSet(path=str(folder))
    recipe = replace(tiny(), stages=STAGES, gates=(), out_of_set=strangers, **changes)
    return pipeline.run(recipe, out=tmp_path / "out", progress=progress, cache=Cache(tmp_path / "cache"))


def test_half_chooses_and_half_measures_and_copies_count_once(tmp_path: Path, progress: Any) -> None:
    folder = noise(tmp_path / "noise", 40)
    (folder / "copy.png").write_bytes((folder / "0.png").read_bytes())
    (folder / "notes.txt").write_text("not one of them")
    data = OutOfSet(path=str(folder)).open(SPEC)
    splits = data.load(progress).splits
    sizes = {split: len(images) for split, images in splits.items()}
    assert sizes["train"] == sizes["validation"] == 0
    assert sizes["calibration"] + sizes["test"] == 40
    assert min(sizes["calibration"], sizes["test"]) > 8
    assert not set(data["calibration"].digests) & set(data["test"].digests)


def test_they_decide_verify_alone_by_their_content(tmp_path: Path, progress: Any) -> None:
    folder = noise(tmp_path / "noise", 30)
    without = build(None, tmp_path, progress)
    assert without["confidence"]["out_of_set_accepted"] is None
    report = build(folder, tmp_path, progress)
    assert [stage["cached"] for stage in report["stages"]] == [True, True, False]
    assert [stage["key"] for stage in report["stages"]][:2] == [stage["key"] for stage in without["stages"]][:2]
    moved = folder.rename(tmp_path / "elsewhere")
    assert all(stage["cached"] for stage in build(moved, tmp_path, progress)["stages"])
    noise(moved / "more", 1, seed=9)
    assert not build(moved, tmp_path, progress)["stages"][2]["cached"]

    measured = report["confidence"]["out_of_set_accepted"]
    bundle = Bundle.read(Path(without["model"]["path"]))
    digests = {read_image(path)[1]: path for path in sorted(moved.rglob("*.png"))}
    halves = OutOfSet(path=str(moved)).open(SPEC)
    halves.load(progress)
    with Classifier(bundle, threads=1) as classifier:
        shown = []
        for digest in halves["test"].digests:
            if "more" not in str(digests[digest]):
                best = classifier(read_image(digests[digest])[0])[0]
                named = best.index not in nothing_classes(bundle.labels)
                shown.append(named and best.score >= report["confidence"]["threshold"])
    assert measured["n"] == len(shown)
    assert measured["share"] == pytest.approx(np.mean(shown), abs=1e-6)
    assert measured["interval"] == list(wilson(sum(shown), len(shown)))
    assert measured["n"] + measured["chosen_on"] == 30


def refused(folder: Path, tmp_path: Path, progress: Any, said: str) -> DataError:
    """And nothing was trained before it was."""
    with pytest.raises(DataError, match=said) as caught:
        build(folder, tmp_path, progress)
    assert caught.value.exit_code == 4
    assert caught.value.received
    assert caught.value.accepted
    assert "--unknown" in caught.value.remedy
    assert not any("epoch" in line for line in progress.lines)
    return caught.value


def test_no_folder_is_said_before_anything_is_done(tmp_path: Path, progress: Any) -> None:
    refused(tmp_path / "nowhere", tmp_path, progress, "no such folder")
    assert not (tmp_path / "cache").exists()


def test_a_folder_without_enough_images_is_refused(tmp_path: Path, progress: Any) -> None:
    folder = noise(tmp_path / "noise", 19)
    for number in range(30):
        (folder / f"broken{number}.jpg").write_bytes(b"\xff\xd8\xff" + bytes([number]))
    assert "19 different images" in str(refused(folder, tmp_path, progress, "too few").received)
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", tmp_path, progress, "too few")


def test_images_of_a_class_are_not_of_none(tmp_path: Path, progress: Any) -> None:
    for label in ("a", "b"):
        noise(tmp_path / "data" / label, 60, seed=ord(label))
    data = Folder(path=str(tmp_path / "data"), rule=tiny().data.rule)
    recipe = replace(tiny(), data=data, stages=STAGES, gates=(), out_of_set=OutOfSet(path=str(tmp_path / "data" / "a")))
    with pytest.raises(DataError, match="are among those that show none") as caught:
        pipeline.run(recipe, out=tmp_path / "out", progress=progress, cache=Cache(tmp_path / "cache"))
    assert caught.value.received == "60 of 60 images"
    assert not any("epoch" in line for line in progress.lines)


def test_without_labels_there_is_nothing_to_keep(tmp_path: Path) -> None:
    recipe = replace(tiny(), data=Photographs(labels=("a", "b")), out_of_set=OutOfSet(path=str(tmp_path)))
    with pytest.raises(UsageError, match="images of the classes, too"):
        recipe.check()


def test_from_the_command_line(tmp_path: Path) -> None:
    """A quick build in a process of its own, what it prints, and what a device reads from the file."""
    recipe = tmp_path / "mine.py"
    recipe.write_text(
        "from dataclasses import replace\nfrom edgecnn.build import Convert, Train, Verify\n"
        "from tests.build.tiny_recipe import recipe as tiny\n\n\ndef recipe(*, quick=False):\n"
        "    return replace(tiny(), stages=(Train(epochs=1), Convert(class_maps=True), Verify(runs=3)), gates=())\n"
    )
    folder = noise(tmp_path / "noise", 24)
    command = [sys.executable, "-m", "edgecnn", "build", str(recipe), "--quick", "--unknown", str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path[1:]])}
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "out")], capture_output=True, text=True, check=True, env=environment
    )
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    confidence = report["confidence"]
    assert f"temperature {confidence['temperature']:.3f}" in done.stdout
    threshold = confidence["threshold"]  # of a network that has learned next to nothing it may be 0
    assert (f"unknown below {threshold:.3f}" if threshold else "no threshold: every answer is shown") in done.stdout
    assert f"of {confidence['out_of_set_accepted']['n']} images of none" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines() if str(tmp_path) not in line) <= 80
    bundle = Bundle.read(report["model"]["path"])
    assert (bundle.threshold, bundle.temperature) == (confidence["threshold"], confidence["temperature"])


def test_the_data_of_a_recipe_is_not_part_of_its_settings() -> None:
    """Where images are does not matter: the keys know their content."""
    assert replace(tiny(), out_of_set=OutOfSet(path="a")).settings() == tiny().settings()
    assert isinstance(tiny().data, Shapes)
