import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgecnn.build import Folder, recipes
from edgecnn.errors import DataError
from edgecnn.images import SPLITS
from edgecnn.inspection import INPUT, Inspection, inspect_folder
from edgecnn.inspection.findings import findings

pytestmark = pytest.mark.lengthy
CLASSES = ("Crème brûlée", "red apple", "猫")
EACH = 40


def png(seed: int, size: tuple[int, int] = (100, 120)) -> bytes:
    """A picture that no other seed gives, with the same pixels on every machine: splits follow from them."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), np.uint8)
    pixels = coarse[np.arange(size[0]) * 5 // size[0]][:, np.arange(size[1]) * 6 // size[1]]
    return cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty pictures of each class, all of them different."""
    root = tmp_path_factory.mktemp("drawn") / "my photos"
    for label, name in enumerate(CLASSES):
        (root / name).mkdir(parents=True)
        for number in range(EACH):
            (root / name / f"{number:02}.png").write_bytes(png(1000 * label + number))
    return root


@pytest.fixture
def photos(drawn: Path, tmp_path: Path) -> Path:
    """A copy of them to spoil."""
    return Path(shutil.copytree(drawn, tmp_path / "my photos"))


def named(seen: Inspection, groups: tuple[tuple[int, ...], ...]) -> list[list[str]]:
    return [[seen.name(seen.images[index].file.path) for index in group] for group in groups]


def as_a_build_has_it(root: Path, progress: Any) -> tuple[dict[str, list[int]], set[str]]:
    """Images of each class by split, and what is left out, of the recipe that a folder of photos gets."""
    data = Folder(path=str(root)).open(INPUT)
    left_out = data.load(progress).left_out
    counts = {split: np.bincount(data[split].labels, minlength=len(data.labels)).tolist() for split in SPLITS}
    return counts, {path for path, _ in left_out}


def as_it_was_seen(seen: Inspection) -> tuple[dict[str, list[int]], set[str]]:
    counts = {
        split: [by_class[index] for index in range(len(seen.labels))] for split, by_class in seen.by_split().items()
    }
    nowhere = [image.file.path for image in seen.images if image.split is None]
    return counts, {str(path) for path in (*nowhere, *(file.path for file, _ in seen.unreadable))}


def test_input_and_splits_are_those_of_the_recipe_for_photos() -> None:
    recipe = recipes.find(None, data=Path("somewhere"), quick=False)
    assert recipe.input == INPUT
    assert recipe.data == Folder(path=recipe.data.path)  # type: ignore[attr-defined]


@pytest.mark.native("hundreds of pictures")
def test_a_folder_of_good_photos_is_as_a_build_has_it(drawn: Path, progress: Any) -> None:
    seen = inspect_folder(drawn, progress)
    assert seen.labels == CLASSES
    assert as_it_was_seen(seen) == as_a_build_has_it(drawn, progress)
    assert seen.unreadable == seen.outside == seen.copies == seen.alike == ()
    assert seen.refusal() is None
    assert {label: each["images"] for label, each in seen.counts().items()} == dict.fromkeys(CLASSES, EACH)
    assert all(sum(each[split] for split in SPLITS) == EACH for each in seen.counts().values())


def test_what_cannot_be_read_is_where_a_build_has_it(photos: Path, progress: Any) -> None:
    (photos / "猫" / "empty.jpg").write_bytes(b"")
    (photos / "猫" / "notes.png").write_text("no image")
    (photos / "red apple" / "cut.png").write_bytes(png(1)[:-30])
    (photos / "red apple" / "unreadable.jpg").symlink_to("/proc/self/mem")
    (photos / "red apple" / "truly a png.jpg").write_bytes(png(7777))
    seen = inspect_folder(photos, progress)
    assert as_it_was_seen(seen) == as_a_build_has_it(photos, progress)
    reasons = {file.path.name: why for file, why in seen.unreadable}
    assert list(reasons) == ["cut.png", "unreadable.jpg", "empty.jpg", "notes.png"]
    assert reasons["empty.jpg"] == "the file is empty"
    assert len(seen.images) == 3 * EACH + 1


def test_what_is_no_regular_file_or_may_not_be_read_is_where_a_build_has_it(
    photos: Path, progress: Any, lock: Callable[[Path], None]
) -> None:
    (photos / "猫" / "broken.jpg").symlink_to("nowhere.jpg")
    os.mkfifo(photos / "猫" / "fifo.jpg")
    lock(photos / "red apple" / "03.png")
    lock(photos / "Crème brûlée")
    seen = inspect_folder(photos, progress)
    assert {(seen.name(file.path), why) for file, why in seen.unreadable} == {
        ("猫/broken.jpg", "a link that leads nowhere"),
        ("猫/fifo.jpg", "no regular file"),
        ("red apple/03.png", "permission to read it is missing"),
        ("Crème brûlée", "permission to read it is missing"),
    }
    assert [(each["images"], each["left_out"]) for each in seen.counts().values()] == [(0, 1), (EACH - 1, 1), (EACH, 2)]
    by_kind = {finding.kind: finding for finding in findings(seen)}
    for kind in ("locked-class", "no-permission"):
        assert "permission" in by_kind[kind].message
        assert "chmod" in by_kind[kind].advice
    assert "empty-class" not in by_kind
    assert len(by_kind["unreadable"].places) == 2
    with pytest.raises(DataError, match="Crème brûlée has no image that can be used, for permission") as caught:
        Folder(path=str(photos)).open(INPUT).load(progress)
    assert caught.value.message == seen.refusal().message  # type: ignore[union-attr]
    assert "chmod" in caught.value.message
    left_out, advice = progress.lines[-2:]
    assert left_out.startswith("4 of 83 files are left out")
    assert all(seen.name(file.path) in left_out and why in left_out for file, why in seen.unreadable)
    assert "chmod" in advice


def test_files_that_are_left_out_are_as_many_as_in_a_build(photos: Path, progress: Any) -> None:
    (photos / "猫" / "notes.txt").write_text("no image")
    (photos / "red apple" / "empty.jpg").write_bytes(b"")
    shutil.copy(photos / "猫" / "01.png", photos / "red apple" / "cat.png")
    seen = inspect_folder(photos, progress)
    left_out = [each["left_out"] for each in seen.counts().values()]
    assert left_out == [0, 2, 2]
    assert sum(left_out) == len(Folder(path=str(photos)).open(INPUT).load(progress).left_out)


def given_splits(drawn: Path, root: Path) -> Path:
    """Folders train/ and test/, each picture in one of them."""
    for number, path in enumerate(sorted(drawn.glob("*/*.png"))):
        place = root / ("test" if number % 4 == 0 else "train") / path.parent.name
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    return root


def test_splits_that_the_folder_gives_are_kept_and_their_copies_out_of_training(
    drawn: Path, tmp_path: Path, progress: Any
) -> None:
    root = given_splits(drawn, tmp_path / "given")
    shutil.copy(root / "test" / "猫" / "00.png", root / "train" / "猫" / "copy.png")
    (root / "train" / "list.txt").write_text("beside the classes")
    seen = inspect_folder(root, progress)
    counts, left_out = as_it_was_seen(seen)
    assert (counts, left_out) == as_a_build_has_it(root, progress)
    assert left_out == {str(root / "train" / "猫" / "copy.png")}
    assert counts["test"] == [EACH // 4] * 3
    assert named(seen, seen.copies) == [["test/猫/00.png", "train/猫/copy.png"]]
    assert [seen.name(path) for path in seen.outside] == ["train/list.txt"]


def test_copies_of_one_class_stay_and_those_of_two_are_in_no_split(photos: Path, progress: Any) -> None:
    shutil.copy(photos / "猫" / "00.png", photos / "猫" / "again.png")
    shutil.copy(photos / "猫" / "01.png", photos / "red apple" / "cat.png")
    seen = inspect_folder(photos, progress)
    assert named(seen, seen.copies) == [["red apple/cat.png", "猫/01.png"], ["猫/00.png", "猫/again.png"]]
    splits = {seen.name(image.file.path): image.split for image in seen.images}
    assert splits["red apple/cat.png"] is splits["猫/01.png"] is None
    assert splits["猫/00.png"] == splits["猫/again.png"] is not None
    assert sum(split is None for split in splits.values()) == 2
    assert seen.alike == ()  # what is a copy is not said twice


def test_near_duplicates_are_found_beside_copies_and_across_classes(photos: Path, progress: Any) -> None:
    original = cv2.imdecode(np.frombuffer(png(1000 + 5), np.uint8), cv2.IMREAD_COLOR)
    shutil.copy(photos / "red apple" / "05.png", photos / "red apple" / "copy.png")
    for place in ("red apple/small.jpg", "猫/small.jpg"):
        half = cv2.resize(original, None, fx=0.5, fy=0.5)  # type: ignore[arg-type]
        quality = 50 + 10 * ("apple" in place)
        data = cv2.imencode(".jpg", half, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        (photos / place).write_bytes(data.tobytes())
    seen = inspect_folder(photos, progress)
    assert named(seen, seen.alike) == [["red apple/05.png", "red apple/small.jpg", "猫/small.jpg"]]


def test_of_copies_that_one_is_compared_that_a_build_has(drawn: Path, tmp_path: Path, progress: Any) -> None:
    root = given_splits(drawn, tmp_path / "given")
    original = root / "test" / "猫" / "00.png"
    shutil.copy(original, root / "train" / "猫" / "a copy.png")  # left out, as its copy is in test
    again = cv2.imencode(".jpg", cv2.imdecode(np.frombuffer(original.read_bytes(), np.uint8), cv2.IMREAD_COLOR))[1]
    (root / "train" / "猫" / "again.jpg").write_bytes(again.tobytes())
    seen = inspect_folder(root, progress)
    assert {frozenset(group) for group in named(seen, seen.alike)} == {
        frozenset({"test/猫/00.png", "train/猫/again.jpg"})
    }


def test_the_sizes_are_those_of_the_images_upright(photos: Path, progress: Any) -> None:
    (photos / "猫" / "least.png").write_bytes(png(1, (9, 7)))
    (photos / "猫" / "most.png").write_bytes(png(2, (130, 101)))
    sizes = inspect_folder(photos, progress).sizes()
    assert sizes["smallest"] == {"height": 9, "width": 7, "path": "猫/least.png"}
    assert sizes["largest"] == {"height": 130, "width": 101, "path": "猫/most.png"}
    assert (sizes["median"]["height"], sizes["median"]["width"]) == (100, 120)


def test_what_a_build_refuses_is_refused_in_its_words(photos: Path, progress: Any) -> None:
    for path in sorted((photos / "猫").iterdir())[1:]:
        path.unlink()
    refusal = inspect_folder(photos, progress).refusal()
    assert refusal is not None
    with pytest.raises(DataError) as caught:
        Folder(path=str(photos)).open(INPUT).load(progress)
    assert (refusal.message, refusal.received, refusal.accepted, refusal.remedy) == (
        caught.value.message,
        caught.value.received,
        caught.value.accepted,
        caught.value.remedy,
    )
    (photos / "猫" / "00.png").unlink()
    assert [fault.kind for fault in inspect_folder(photos, progress).faults()] == ["empty-class"]


def test_everything_that_is_wrong_is_found_and_refused_at_once(photos: Path, progress: Any) -> None:
    shutil.copytree(photos / "red apple", photos / "Red Apple")
    (photos / "nothing").mkdir()
    (photos / "猫" / "notes.txt").write_text("no image")
    shutil.copy(photos / "猫" / "07.png", photos / "Crème brûlée" / "again.png")
    seen = inspect_folder(photos, progress)
    kinds = {finding.kind for finding in findings(seen)}
    assert {"case", "empty-class", "unreadable", "copies-across-classes"} <= kinds
    data = Folder(path=str(photos)).open(INPUT)
    with pytest.raises(DataError) as caught:
        data.load(progress)
    refusal = seen.refusal()
    assert refusal is not None
    assert refusal.message == caught.value.message
    for part in ("Red Apple and red apple are the same but for case", "the class nothing has no image"):
        assert part in caught.value.message
    (left_out,) = [line for line in progress.lines if "left out" in line]
    assert "notes.txt" in left_out
    assert "again.png" in left_out
    assert seen.counts()["red apple"]["left_out"] == EACH


def test_it_is_said_how_far_it_is(drawn: Path, progress: Any) -> None:
    inspect_folder(drawn, progress)
    done = [update[0] for update in progress.updates if update[2] == "reading images"]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (64, 3 * EACH)
