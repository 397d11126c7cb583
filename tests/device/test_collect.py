from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgecnn.device import Answer, Frame, collect
from edgecnn.device.collect import Collection, Unsure
from edgecnn.errors import DeviceError, UsageError
from edgecnn.images import class_folders, read_image
from edgecnn.inference import Prediction


def frame(number: int = 0) -> Frame:
    image = np.random.default_rng(number).integers(0, 256, (48, 64, 3), np.uint8)
    image = cv2.resize(image[:6, :8], (64, 48), interpolation=cv2.INTER_CUBIC)  # type: ignore[assignment]
    return Frame(number=number, image=image, captured_ns=0, capture_ns=0)


def answer(score: float, number: int = 0) -> Answer:
    best = (Prediction(index=0, label="a", score=score),)
    return Answer(
        frame=frame(number), predictions=best, steady=best, shown=None, phases_ns=(0,) * 4, answered_ns=0, dropped=0
    )


def test_a_frame_becomes_a_photo_of_its_class(tmp_path: Path) -> None:
    collection = Collection(tmp_path / "photos")
    paths = [collection.add(frame(n), label) for n, label in enumerate(("mug", "小猫 ", "mug"))]
    assert class_folders(tmp_path / "photos")[0] == ("mug", "小猫")
    assert len(set(paths)) == 3
    seen, _ = read_image(paths[0])
    assert np.abs(seen.astype(int) - frame(0).image).mean() < 4
    assert not list((tmp_path / "photos").rglob(".*"))


def test_a_class_that_is_there_is_taken_whatever_its_case(tmp_path: Path) -> None:
    collection = Collection(tmp_path)
    assert collection.add(frame(), "Mug").parent == collection.add(frame(1), "mUG").parent


@pytest.mark.parametrize(
    ("label", "why"),
    [
        ("", "is empty"),
        (" ", "is empty"),
        ("../up", "has a /"),
        ("a/b", "has a /"),
        (".hidden", "begins with a dot"),
        ("two\nlines", "one line"),
        ("x" * 201, "longer than 200 bytes"),
        ("nul\0", "one line"),
    ],
)
def test_what_is_no_name_of_a_folder(tmp_path: Path, label: str, why: str) -> None:
    with pytest.raises(UsageError, match=f"cannot be the name of a class, for it.*{why}"):
        Collection(tmp_path / "photos").add(frame(), label)
    assert list(tmp_path.rglob("*")) == []


def test_the_limit_counts_what_was_there_before(tmp_path: Path) -> None:
    first = Collection(tmp_path).add(frame(), "mug")
    size = first.stat().st_size
    collection = Collection(tmp_path, limit_bytes=2 * size + size // 2)
    collection.add(frame(), "mug")
    with pytest.raises(DeviceError, match="is full") as caught:
        collection.add(frame(), "mug")
    assert "--collect-limit" in caught.value.remedy
    assert len(list(tmp_path.rglob("*.jpg"))) == 2


def test_a_file_is_no_place_to_collect_in(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="Nothing can be written"):
        Collection(tmp_path / "file")


def test_what_the_model_is_unsure_of_is_kept_beside_the_classes_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "EVERY_S", 0.0)
    unsure = Unsure(Collection(tmp_path), below=0.6)
    for number, score in enumerate((0.59, 0.6, 0.2, 0.99)):
        unsure(answer(score, number))
    assert sorted(int(path.stem.rpartition("-")[2]) for path in tmp_path.glob("*.jpg")) == [0, 2]
    assert (unsure.kept, unsure.ended) == (2, None)
    monkeypatch.setattr(collect, "EVERY_S", 1000.0)
    for number in range(10):
        unsure(answer(0.1, number))
    assert unsure.kept == 3


def test_of_image_files_all_are_kept_with_their_names(tmp_path: Path) -> None:
    unsure = Unsure(Collection(tmp_path), below=0.6)
    for number, source in enumerate(("cat/IMG_1.JPG", "dog/IMG_1.JPG", "IMG.2.png")):
        asked = answer(0.1, number)
        unsure(replace(asked, frame=replace(asked.frame, source=source)))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names[1:] == ["IMG.2.jpg", "IMG_1.jpg"]
    assert names[0].endswith("-1.jpg")  # by its date, for its name was taken
    assert unsure.kept == 3


def test_a_full_folder_ends_the_collecting_and_not_the_demo(tmp_path: Path) -> None:
    unsure = Unsure(Collection(tmp_path, limit_bytes=10), below=0.6)
    unsure(answer(0.1))
    unsure(answer(0.1))
    assert unsure.kept == 0
    assert unsure.ended is not None
    assert "is full" in unsure.ended.message


def test_a_score_that_is_no_number_is_unsure(tmp_path: Path) -> None:
    unsure = Unsure(Collection(tmp_path), below=0.6)
    unsure(replace(answer(0.9), steady=(Prediction(index=0, label="a", score=0.0),)))
    assert unsure.kept == 1
