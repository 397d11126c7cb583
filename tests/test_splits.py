import os
from collections import Counter

import pytest

from edgecnn.errors import DataError
from edgecnn.images import SPLITS, Split, SplitRule
from edgecnn.splits import check_splits, faults, images_needed, name_faults

FULL: dict[Split, Counter[int]] = {split: Counter({0: 3, 1: 4}) for split in SPLITS}


def refused(counts: dict[Split, Counter[int]]) -> DataError:
    with pytest.raises(DataError) as caught:
        check_splits(("cat", "dog"), counts, SplitRule())
    return caught.value


def test_one_image_of_each_class_in_every_split_is_enough() -> None:
    check_splits(("cat", "dog"), {split: Counter({0: 1, 1: 1}) for split in SPLITS}, SplitRule())
    check_splits(("cat", "dog"), {**FULL, "calibration": Counter({1: 1})}, SplitRule())


def test_every_class_and_split_that_lacks_images_is_said_at_once() -> None:
    refusal = refused({**FULL, "test": Counter({0: 1}), "validation": Counter({0: 0}), "calibration": Counter()})
    assert "the class cat has no validation image" in refusal.message
    assert "the class dog has no validation and no test image" in refusal.message
    assert "there is no calibration image" in refusal.message
    assert refusal.received == "cat: 4, dog: 4"
    assert all(": add images; " in line for line in refusal.message.splitlines()[1:])


@pytest.mark.parametrize("names", [("Cat", "cat"), ("Ärger", "ärger")])
def test_names_that_differ_in_case_only(names: tuple[str, str]) -> None:
    (fault,) = name_faults((names[0], "dog", names[1]))
    assert fault.what == f"the names of the classes {names[0]} and {names[1]} are the same but for case"
    assert (fault.kind, fault.remedy) == ("case", "rename one, or put all their images into one")


@pytest.mark.parametrize("name", ["two\nlines", "two\u2028lines", "two\x0clines", os.fsdecode(b"caf\xe9")])
def test_a_name_that_a_labels_file_cannot_hold(name: str) -> None:
    (fault,) = name_faults(("cat", name))
    assert (fault.kind, fault.what) == ("label", f"{name!a} cannot be a label")


def test_one_class_only() -> None:
    assert [fault.what for fault in name_faults(("cat",))] == ["there is one class only, cat"]


def test_names_classes_and_splits_are_faulted_together() -> None:
    counts = {**FULL, "test": Counter({0: 1, 1: 1})}
    assert [fault.kind for fault in faults(("cat", "CAT", "dog"), counts)] == ["case", "empty-class"]
    with pytest.raises(DataError) as caught:
        check_splits(("cat", "CAT", "dog"), counts, SplitRule())
    assert len(caught.value.message.splitlines()) == 3
    assert caught.value.received == "cat: 10, CAT: 13, dog: 0"


def test_of_a_thousand_faults_a_person_is_shown_some() -> None:
    labels = tuple(f"class {number}" for number in range(1000))
    with pytest.raises(DataError) as caught:
        check_splits(labels, {**FULL, "train": Counter({0: 1, 1: 1})}, SplitRule())
    assert caught.value.message.endswith("  - and 978 more")
    assert str(caught.value.received).endswith("and 980 more classes")


@pytest.mark.parametrize(
    "rule", [SplitRule(), SplitRule(validation=0.3, test=0.2), SplitRule(validation=0, test=0), SplitRule(test=0)]
)
def test_the_number_of_images_needed_is_the_least_that_leaves_one_case_in_100(rule: SplitRule) -> None:
    smallest = min([share for share in (rule.validation, rule.test) if share] or [rule.calibration])
    needed = images_needed(rule)
    assert (1 - smallest) ** needed <= 0.01 < (1 - smallest) ** (needed - 1)
