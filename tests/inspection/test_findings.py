import json
from pathlib import Path
from typing import Any

import pytest

from edgecnn.images import NO_PERMISSION, ImageFile, Split, SplitRule
from edgecnn.inspection import Inspection, Seen
from edgecnn.inspection.findings import Finding, document, findings

ROOT = Path("photos")
LABELS = ("cat", "dog")


def seen(name: str, split: Split | None = "train", **facts: Any) -> Seen:
    path = ROOT / name
    given = facts.pop("given", None)
    file = ImageFile(path=path, label=LABELS.index(path.parent.name), given=given)
    return Seen(file=file, split=split, **{"digest": name, "size": (100, 200), **facts})


def enough(label: str, count: int = 50) -> tuple[Seen, ...]:
    """Images of a class that nobody could complain about."""
    splits: tuple[Split, ...] = ("train", "train", "validation", "calibration", "test")
    return tuple(seen(f"{label}/{number}.jpg", splits[number % 5]) for number in range(count))


def found(*more: Seen, cats: int = 50, dogs: int = 50, **facts: Any) -> dict[str, Finding]:
    """The findings by kind; what is more has the indices 0, 1, ..."""
    images = (*more, *enough("cat", cats), *enough("dog", dogs))
    inspection = Inspection(root=ROOT, labels=LABELS, rule=SplitRule(), images=images, **facts)
    shown = json.loads(json.dumps(document(inspection)))
    assert [each["kind"] for each in shown["findings"]] == [each.kind for each in findings(inspection)]
    return {finding.kind: finding for finding in findings(inspection)}


def paths(finding: Finding) -> list[tuple[str, ...]]:
    return [place.paths for place in finding.places]


def test_nothing_is_wrong_with_good_photos() -> None:
    assert found() == {}


def test_unreadable_files_have_their_reason() -> None:
    finding = found(unreadable=((seen("cat/a.jpg").file, "the file is empty"),))["unreadable"]
    assert finding.message.startswith("1 file cannot")
    assert paths(finding) == [("cat/a.jpg",)]
    assert finding.places[0].notes == ("the file is empty",)


def test_what_permission_is_missing_for_need_not_be_saved_again() -> None:
    every = found(unreadable=((seen("cat/a.jpg").file, NO_PERMISSION),))
    assert list(every) == ["no-permission"]
    assert every["no-permission"].message == "permission is missing to read 1 file or folder"
    assert every["no-permission"].advice.startswith("chmod")


@pytest.mark.parametrize(
    ("pair", "kind"),
    [
        ((seen("cat/a.jpg", None), seen("dog/b.jpg", None)), "copies-across-classes"),
        ((seen("cat/a.jpg", "test", given="test"), seen("cat/b.jpg", None, given="train")), "copies-across-splits"),
        ((seen("cat/a.jpg", "test"), seen("cat/b.jpg", "test")), "copies"),
    ],
)
def test_copies_are_told_apart_by_what_a_build_does(pair: tuple[Seen, Seen], kind: str) -> None:
    every = found(*pair, copies=((0, 1),))
    assert list(every) == [kind]
    assert paths(every[kind]) == [tuple(str(each.file.path.relative_to(ROOT)) for each in pair)]
    assert every[kind].places[0].notes == tuple(each.split or "left out" for each in pair)


@pytest.mark.parametrize(
    ("pair", "kind"),
    [
        ((seen("cat/a.jpg", "train"), seen("dog/b.jpg", "train")), "near-duplicates-across-classes"),
        ((seen("cat/a.jpg", "train"), seen("cat/b.jpg", "test")), "near-duplicates-across-splits"),
        ((seen("cat/a.jpg", "validation"), seen("cat/b.jpg", "test")), "near-duplicates-across-splits"),
        ((seen("cat/a.jpg", "train"), seen("cat/b.jpg", "calibration")), "near-duplicates"),
        ((seen("cat/a.jpg", "test"), seen("cat/b.jpg", "test")), "near-duplicates"),
    ],
)
def test_near_duplicates_are_told_apart_by_the_harm_they_do(pair: tuple[Seen, Seen], kind: str) -> None:
    assert list(found(*pair, alike=((0, 1),))) == [kind]


def test_classes_with_few_images_are_named_the_smallest_first() -> None:
    finding = found(cats=43, dogs=20)["few-images"]
    assert finding.message == "few images: dog has 20, cat has 43"
    assert "44 a class" in finding.advice
    assert "few-images" not in found(cats=44, dogs=44)


def test_a_rare_class_is_said_with_the_remedy_of_the_recipe() -> None:
    finding = found(cats=200, dogs=50)["unbalanced"]
    assert finding.message == "cat has 4.0 times as many images as dog: 200 and 50"
    assert "class_weights=True in the recipe's stages that train" in finding.advice
    assert "unbalanced" not in found(cats=150, dogs=50)


def test_what_one_class_alone_has_is_what_will_be_learnt() -> None:
    grey = [seen(f"dog/grey {number}.jpg", odd=("grey",)) for number in range(3)]
    finding = found(*grey)["grey"]
    assert finding.message == "3 images: grey"
    assert "only in dog" in finding.advice
    assert "only in" not in found(*grey, seen("cat/grey.jpg", odd=("grey",)))["grey"].advice


def test_an_image_may_be_odd_in_two_ways() -> None:
    assert list(found(seen("dog/a.png", odd=("alpha", "16-bit")))) == ["alpha", "16-bit"]


@pytest.mark.parametrize("size", [(95, 200), (200, 95), (1, 1)])
def test_an_image_that_is_smaller_than_the_input_one_way_is_tiny(size: tuple[int, int]) -> None:
    finding = found(seen("dog/a.png", size=size))["tiny"]
    assert finding.message == "1 image: smaller than the network's input, 96x96"
    assert finding.places[0].notes == (f"{size[0]}x{size[1]}",)
    assert "tiny" not in found(seen("dog/a.png", size=(96, 96)))


def test_where_it_is_all_of_them_none_is_listed() -> None:
    splits: tuple[Split, ...] = ("train", "train", "validation", "calibration", "test")
    images = tuple(
        seen(f"{label}/{number}.png", splits[number % 5], size=(32, 32)) for label in LABELS for number in range(50)
    )
    inspection = Inspection(root=ROOT, labels=LABELS, rule=SplitRule(), images=images)
    (finding,) = findings(inspection)
    assert finding.message.startswith("all 100 images")
    assert finding.places == ()


def test_files_beside_the_classes_are_said() -> None:
    assert paths(found(outside=(ROOT / "a.jpg",))["outside"]) == [("a.jpg",)]


def test_a_folder_that_a_build_refuses_has_the_error_in_its_document() -> None:
    images = (*enough("cat"), seen("dog/1.jpg"))
    shown = document(Inspection(root=ROOT, labels=LABELS, rule=SplitRule(), images=images))
    assert shown["usable"] is False
    assert "the class dog has no validation and no test image" in shown["error"]["message"]
    good = document(Inspection(root=ROOT, labels=LABELS, rule=SplitRule(), images=enough("cat") + enough("dog")))
    assert good["usable"] is True
    assert "error" not in good


def test_a_folder_without_a_single_image_has_a_document_too() -> None:
    shown = document(Inspection(root=ROOT, labels=LABELS, rule=SplitRule(), images=()))
    assert (shown["images"], shown["sizes"], shown["usable"]) == (0, {}, False)
