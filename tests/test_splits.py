from collections import Counter

import pytest

from edgecnn.errors import DataError
from edgecnn.images import SPLITS, Split, SplitRule
from edgecnn.splits import check_splits, images_needed

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
    assert refusal.remedy.startswith("add images to these classes")


@pytest.mark.parametrize(
    "rule", [SplitRule(), SplitRule(validation=0.3, test=0.2), SplitRule(validation=0, test=0), SplitRule(test=0)]
)
def test_the_number_of_images_needed_is_the_least_that_leaves_one_case_in_100(rule: SplitRule) -> None:
    smallest = min([share for share in (rule.validation, rule.test) if share] or [rule.calibration])
    needed = images_needed(rule)
    assert (1 - smallest) ** needed <= 0.01 < (1 - smallest) ** (needed - 1)
