import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgecnn import Bundle, Classifier, InputSpec, shapes
from edgecnn.errors import DataError, UsageError
from edgecnn.evaluation import Evaluation, evaluate, evaluate_folder, wilson
from edgecnn.images import SplitRule

CLASSES = ("circle", "heart", "star")
RULE = SplitRule(validation=0.2, calibration=0.2, test=0.3)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures of each of three classes."""
    root = tmp_path_factory.mktemp("data") / "photos"
    for name in CLASSES:
        (root / name).mkdir(parents=True)
        for number in range(12):
            picture = shapes.render(shapes.CLASSES.index(name), np.random.default_rng(number), (50, 60))
            cv2.imwrite(str(root / name / f"{number}.png"), picture[:, :, ::-1])
    return root


def digests_in(root: Path) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in root.glob("*/*.png")]


@pytest.fixture
def built_here(photos: Path, int8_model: bytes, manifest_of: Callable[..., dict[str, Any]]) -> Bundle:
    """A bundle whose manifest says that it was built from `photos`."""
    manifest = manifest_of(digests_in(photos), RULE)
    return Bundle.make(
        int8_model, name="tiny", spec=InputSpec(height=96, width=96), labels=shapes.CLASSES, manifest=manifest
    )


def measured(bundle: Bundle, root: Path, progress: Any, split: str | None = None) -> dict[str, Any]:
    with Classifier(bundle, threads=1) as classifier:
        document = evaluate_folder(classifier, root, split=split, progress=progress)
    assert json.loads(json.dumps(document)) == document
    return document


def test_accuracy_is_the_share_of_right_answers() -> None:
    evaluation = Evaluation(
        labels=("a", "b", "c"),
        truth=np.array([0, 0, 0, 2]),
        answers=np.array([0, 0, 1, 1]),
        scores=np.ones(4, np.float32),
    )
    assert evaluation.accuracy == 0.5
    assert evaluation.figures() == {"accuracy": 0.5, "accuracy_interval": [0.150039, 0.849961]}
    assert evaluation.per_class() == {
        "a": {"accuracy": 0.666667, "accuracy_interval": [0.207660, 0.938508], "n": 3},
        "c": {"accuracy": 0.0, "accuracy_interval": [0.0, 0.793451], "n": 1},
    }


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [  # Newcombe (1998), Statistics in Medicine 17, table I, method 3; to the four places that it prints
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_is_wilsons(right: int, n: int, low: float, high: float) -> None:
    assert wilson(right, n) == pytest.approx((low, high), abs=5e-5)
    assert wilson(n - right, n) == pytest.approx((1 - high, 1 - low), abs=5e-5)


@pytest.mark.parametrize(("n", "share"), [(20, 0.95), (50, 0.9), (280, 0.99)])
def test_the_interval_holds_the_truth_about_95_times_in_100(n: int, share: float) -> None:
    drawn = np.random.default_rng(0).binomial(n, share, 4000)
    intervals = [wilson(int(right), n) for right in drawn]
    assert np.mean([low <= share <= high for low, high in intervals]) == pytest.approx(0.95, abs=0.03)


def test_the_answers_are_those_of_the_classifier(bundle: Bundle, pictures: Any) -> None:
    with Classifier(bundle, threads=1) as classifier:
        evaluation = evaluate(classifier, ((picture, 3) for picture in pictures))
        best = [classifier(picture)[0].index for picture in pictures]
    assert evaluation.answers.tolist() == best
    assert evaluation.truth.tolist() == [3] * len(pictures)


def test_on_its_own_folder_the_test_split_alone_is_measured(built_here: Bundle, photos: Path, progress: Any) -> None:
    document = measured(built_here, photos, progress)
    in_test = sum(RULE.split_of(digest) == "test" for digest in digests_in(photos))
    assert 0 < in_test < 36
    assert (document["n"], document["split"]) == (in_test, "test")
    assert sum(stats["n"] for stats in document["per_class"].values()) == in_test
    assert document["accuracy_interval"] == list(wilson(round(document["accuracy"] * in_test), in_test))
    assert any("test split alone" in line for line in progress.lines)
    assert document == measured(built_here, photos, progress, split="test")


def test_all_of_its_own_folder_on_request(built_here: Bundle, photos: Path, progress: Any) -> None:
    document = measured(built_here, photos, progress, split="all")
    assert (document["n"], document["split"]) == (36, "all")
    assert {label: stats["n"] for label, stats in document["per_class"].items()} == dict.fromkeys(CLASSES, 12)
    assert progress.lines == []


def test_its_own_folder_is_known_after_an_image_was_added(
    built_here: Bundle, photos: Path, progress: Any, tmp_path: Path
) -> None:
    copy_of(photos, tmp_path / "grown")
    cv2.imwrite(str(tmp_path / "grown" / "heart" / "new.png"), np.full((9, 9, 3), 7, np.uint8))
    assert measured(built_here, tmp_path / "grown", progress)["split"] == "test"


def test_of_another_folder_all_is_measured(built_here: Bundle, photos: Path, progress: Any, tmp_path: Path) -> None:
    copy_of(photos, tmp_path / "other", shade=1)
    document = measured(built_here, tmp_path / "other", progress)
    assert (document["n"], document["split"]) == (36, "all")
    with pytest.raises(UsageError, match="not built from this folder"):
        measured(built_here, tmp_path / "other", progress, split="test")


def copy_of(photos: Path, root: Path, shade: int = 0) -> None:
    """The same pictures, or others where a shade is added."""
    for path in photos.glob("*/*.png"):
        (root / path.parent.name).mkdir(parents=True, exist_ok=True)
        if shade:
            cv2.imwrite(str(root / path.parent.name / path.name), cv2.imread(str(path)) // 2 + shade)
        else:
            (root / path.parent.name / path.name).write_bytes(path.read_bytes())


def test_a_split_that_there_is_not(built_here: Bundle, photos: Path, progress: Any) -> None:
    with pytest.raises(UsageError) as caught:
        measured(built_here, photos, progress, split="train")
    assert caught.value.accepted == "test or all"


def test_every_stranger_among_the_classes_is_named(
    built_here: Bundle, photos: Path, progress: Any, tmp_path: Path
) -> None:
    copy_of(photos, tmp_path / "odd")
    for stranger in ("zebra", "ant"):
        (tmp_path / "odd" / stranger).mkdir()
        (tmp_path / "odd" / stranger / "1.png").write_bytes(b"")
    with pytest.raises(DataError, match="no class ant, zebra") as caught:
        measured(built_here, tmp_path / "odd", progress)
    assert "circle" in str(caught.value.accepted)


def test_files_that_are_no_images_are_listed_with_the_reason(
    built_here: Bundle, photos: Path, progress: Any, tmp_path: Path
) -> None:
    root = tmp_path / "odd"
    copy_of(photos, root)
    (root / "star" / "notes.txt").write_text("not an image")
    (root / "star" / "empty.jpg").write_bytes(b"")
    (root / "star" / "unreadable.jpg").symlink_to("/proc/self/mem")
    document = measured(built_here, root, progress, split="all")
    assert document["n"] == 36
    left_out = {Path(file["path"]).name: file["reason"] for file in document["left_out"]}
    assert list(left_out) == ["empty.jpg", "notes.txt", "unreadable.jpg"]
    assert left_out["empty.jpg"] == "the file is empty"
    assert "3 files are left out" in progress.lines[0]
    assert all(name in progress.lines[0] for name in left_out)


def test_a_folder_without_a_single_image(built_here: Bundle, progress: Any, tmp_path: Path) -> None:
    for name in CLASSES:
        (tmp_path / "texts" / name).mkdir(parents=True)
        (tmp_path / "texts" / name / "a.txt").write_text("no image")
    with pytest.raises(DataError, match="no image to measure with") as caught:
        measured(built_here, tmp_path / "texts", progress)
    assert "3 of them unreadable" in str(caught.value.received)


@pytest.mark.lengthy
def test_a_foreign_file_is_measured_on_folders_of_indices(
    foreign_path: Path, photos: Path, progress: Any, tmp_path: Path
) -> None:
    for name in CLASSES:
        (tmp_path / "by index").mkdir(exist_ok=True)
        (tmp_path / "by index" / str(shapes.CLASSES.index(name))).symlink_to(photos / name)
    document = measured(Bundle.read(foreign_path), tmp_path / "by index", progress)
    assert set(document["per_class"]) == {"1", "3", "7"}
    assert document["n"] == 36
