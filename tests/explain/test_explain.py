import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgecnn import Bundle
from edgecnn.explain import Explainer, explain_files, write_features, write_filters
from edgecnn.explain.explainer import class_index
from tests import squares
from tests.conftest import Quiet
from tests.test_cli import error, run

AT = (20, 3)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    cv2.imwrite(str(path := tmp_path / "photo.png"), squares.scene(920, at=AT))
    return path


@pytest.fixture(scope="module")
def model(square_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    square_bundle.write(path := tmp_path_factory.mktemp("squares") / "squares.tflite")
    return path


def test_a_picture_is_hot_where_the_square_is(model: Path, photo: Path, tmp_path: Path) -> None:
    result = run("explain", model, photo, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    (found,) = document["images"]
    assert (found["label"], found["class"], document["method"]) == ("square", "square", "rise")
    x, y = found["peak"]
    assert AT[1] - 2 <= 32 * x <= AT[1] + squares.SIDE + 2
    assert AT[0] - 2 <= 32 * y <= AT[0] + squares.SIDE + 2
    picture = cv2.imread(found["picture"])
    assert picture is not None
    heat = picture[:, 248:488].astype(int).max(axis=2) - picture[:, 248:488].astype(int).min(axis=2)  # colour, not grey
    row, column = np.unravel_index(cv2.blur(heat.astype(np.float32), (25, 25)).argmax(), heat.shape)
    assert abs(row / 240 - (AT[0] + 3) / 32) < 0.2
    assert abs((column - 8) / 240 - (AT[1] + 3) / 32) < 0.2
    assert document["sheet"] is None


@pytest.mark.lengthy
def test_several_images_get_a_sheet_and_what_is_none_is_left_out(model: Path, photo: Path, tmp_path: Path) -> None:
    (same := tmp_path / "other" / photo.name).parent.mkdir()
    same.write_bytes(photo.read_bytes())
    (broken := tmp_path / "broken.jpg").write_bytes(b"no image")
    out = tmp_path / "out"
    result = run(
        "explain", model, photo, broken, same, "--out", out, "--method", "occlusion", "--class", "bare", "--json"
    )
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert [Path(each["picture"]).name for each in document["images"]] == [
        "photo.occlusion.png",
        "photo-2.occlusion.png",
    ]
    assert document["left_out"] == [{"path": str(broken), "reason": "not an image that OpenCV reads"}]
    assert {each["class"] for each in document["images"]} == {"bare"}
    rows = [cv2.imread(each["picture"]) for each in document["images"]]
    np.testing.assert_array_equal(cv2.imread(document["sheet"]), np.vstack(rows))  # type: ignore[arg-type]
    assert "broken.jpg" in result.stderr


def test_what_layers_know_is_drawn(model: Path, photo: Path, tmp_path: Path) -> None:
    bundle = Bundle.read(model)
    filters = cv2.imread(str(write_filters(bundle, tmp_path)))
    assert filters is not None
    assert filters.shape == (3 * (66 + 4), 3 * (66 + 4), 3)  # 8 filters of 3x3, 22 pixels a weight
    (features,) = write_features(bundle, "second", [photo], tmp_path)
    assert features.name == "photo.second.png"
    assert len(np.unique(cv2.imread(str(features)))) > 10  # type: ignore[arg-type]
    assert "first, shrunk, second" in error(run("explain", model, photo, "--layer", "no", "--json"))["accepted"]


@pytest.mark.tensorflow
def test_grad_cam_names_what_works_where_the_build_is_not_here(model: Path, photo: Path) -> None:
    refusal = run("explain", model, photo, "--method", "grad-cam", "--json")
    assert refusal.exit_code == 2
    assert "--method occlusion" in error(refusal)["remedy"]


@pytest.mark.lengthy
def test_what_cannot_be_explained_is_said(model: Path, tmp_path: Path, foreign_path: Path, photo: Path) -> None:
    (tmp_path / "text.txt").write_text("no image")
    nothing = run("explain", model, tmp_path / "text.txt", tmp_path / "gone.png", "--json")
    assert nothing.exit_code == 4
    assert "gone.png" in error(nothing)["received"]
    assert "square" in error(run("explain", model, photo, "--class", "sqare", "--json"))["remedy"]
    assert error(run("explain", model, "--json"))["message"] == "There is nothing to explain."
    foreign = run("explain", foreign_path, photo, "--out", tmp_path, "--class", "3", "--method", "occlusion", "--json")
    assert json.loads(foreign.stdout)["images"][0]["class"] == "3"
    assert "the names of its classes" in foreign.stderr


def test_a_class_is_found_by_its_name() -> None:
    labels = ("tench", "great white shark", "tiger shark")
    assert class_index(labels, "tiger shark") == 2
    with pytest.raises(Exception, match="no such class") as raised:
        class_index(labels, "shark")
    assert "great white shark or tiger shark" in raised.value.remedy  # type: ignore[attr-defined]


def test_a_crop_that_the_network_sees_is_where_the_heat_is(square_bundle: Bundle) -> None:
    from dataclasses import replace

    bundle = replace(square_bundle, input=replace(squares.SPEC, resize="center_crop"))
    wide = np.full((32, 96, 3), 40, np.uint8)
    wide[:, 32:64] = squares.scene(921, at=AT)
    found = Explainer(bundle, method="occlusion", threads=1)(wide)
    assert found.region == (0, 32, 32, 32)
    x, _ = found.as_json()["peak"]
    assert 32 + AT[1] - 2 <= 96 * x <= 32 + AT[1] + squares.SIDE + 2


@pytest.mark.lengthy
def test_progress_goes_over_all_images(square_bundle: Bundle, photo: Path, tmp_path: Path, progress: Quiet) -> None:
    explainer: Any = Explainer(square_bundle, method="occlusion", threads=1)
    explain_files(explainer, [photo, photo], tmp_path, progress)
    done = [step for step, _, _ in progress.updates]
    assert done == list(range(1, progress.updates[0][1] + 1))


@pytest.mark.lengthy
def test_it_needs_neither_tensorflow_nor_the_build(model: Path, photo: Path, tmp_path: Path) -> None:
    barred = "tensorflow", "tf_keras", "filelock", "platformdirs", "h5py", "edgecnn.build"
    code = f"import sys; sys.modules.update(dict.fromkeys({barred!r}))\nfrom edgecnn.cli import main; main()"
    command = [sys.executable, "-c", code, "explain", str(model), str(photo), "--out", str(tmp_path)]
    drawn = subprocess.run([*command, "--filters", "--layer", "first"], capture_output=True, text=True, check=False)
    assert drawn.returncode == 0, drawn.stderr
    assert {"photo.rise.png", "photo.first.png", "filters.png"} <= {path.name for path in tmp_path.iterdir()}
    refusal = subprocess.run([*command, "--method", "grad-cam"], capture_output=True, text=True, check=False)
    assert refusal.returncode == 2
    assert "the extra 'build'" in refusal.stderr
