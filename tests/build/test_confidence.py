"""The calibration error, and the rules by which a threshold is chosen and measured, on examples made by hand."""

from typing import Any

import numpy as np
import pytest

from edgecnn.build.confidence import LEVELS, acceptance, advice, calibration_error, figures, threshold
from edgecnn.evaluation import Evaluation, wilson

LABELS = ("cat", "dog", "nothing")


def answers(scores: Any, *, truth: Any = 0, found: Any = 0, labels: tuple[str, ...] = LABELS) -> Evaluation:
    scores = np.asarray(scores, np.float32)
    truths, founds = (np.broadcast_to(np.asarray(each), scores.shape) for each in (truth, found))
    return Evaluation(labels=labels, truth=truths, answers=founds, scores=scores)


def test_the_error_of_bins_made_by_hand() -> None:
    """Two bins: 4 images at 0.9, 3 right; 6 at 0.5, all right: (4 |0.9 - 0.75| + 6 |0.5 - 1|) / 10."""
    scores = np.array([0.9] * 4 + [0.5] * 6)
    right = np.array([True, True, True, False] + [True] * 6)
    assert calibration_error(scores, right) == pytest.approx((4 * 0.15 + 6 * 0.5) / 10)


def test_a_bin_is_of_one_fifteenth_and_closed_above() -> None:
    """Under- and overconfidence cancel inside a bin, and not across its edges."""
    inside, across = np.array([0.61, 0.66]), np.array([0.61, 0.67])
    right = np.array([True, False])
    assert calibration_error(inside, right) == pytest.approx(abs(1.27 - 1) / 2, abs=1e-6)
    assert calibration_error(across, right) == pytest.approx((0.39 + 0.67) / 2, abs=1e-6)
    assert calibration_error(np.array([10 / 15, 9.5 / 15]), right) == pytest.approx(abs(19.5 / 15 - 1) / 2, abs=1e-6)
    assert calibration_error(np.array([0.0, 1.0]), np.array([False, True])) == 0.0


def test_scores_that_are_right_as_often_as_they_say_have_no_error() -> None:
    scores = np.repeat([0.25, 0.5, 0.75], 400)
    right = np.concatenate([np.arange(400) < 400 * share for share in (0.25, 0.5, 0.75)])
    assert calibration_error(scores, right) == 0.0
    assert calibration_error(scores**0.2, right) > 0.2


HUNDRED = np.arange(1, 101) * 2 / 256  # right answers of 100 different levels: 2/256, 4/256, ..., 200/256


def test_without_strangers_95_of_100_right_answers_are_kept() -> None:
    level = threshold(answers(HUNDRED))
    assert level == 12 / 256
    assert (level <= HUNDRED).sum() == 95
    assert (level + 1 / 256 <= HUNDRED).sum() == 94


def test_wrong_answers_and_answers_of_nothing_do_not_choose() -> None:
    kept = answers(HUNDRED)
    mixed = answers(
        np.concatenate([HUNDRED, [0.99] * 50, [0.001] * 50]),
        truth=np.array([0] * 100 + [1] * 50 + [2] * 50),
        found=np.array([0] * 100 + [0] * 50 + [2] * 50),
    )
    assert threshold(mixed) == threshold(kept)


def test_with_strangers_the_lowest_that_lets_in_5_percent() -> None:
    strangers = answers(np.arange(1, 101) / 256)
    level = threshold(answers([0.9] * 100), strangers)
    assert level == 96 / 256
    assert ((strangers.scores >= level).mean(), (strangers.scores >= level - 1 / 256).mean()) == (0.05, 0.06)


def test_but_80_of_100_right_answers_are_kept_whatever_the_strangers_say() -> None:
    level = threshold(answers(HUNDRED), answers([0.99] * 40))
    assert level == 42 / 256
    assert (level <= HUNDRED).sum() == 80


def test_strangers_that_are_called_nothing_need_no_threshold() -> None:
    assert threshold(answers(HUNDRED), answers([0.99] * 40, found=2)) == 0.0
    assert (
        threshold(answers(HUNDRED, labels=("a", "b", "c")), answers([0.99] * 40, found=2, labels=("a", "b", "c"))) > 0
    )


def test_where_nothing_is_right_there_is_no_threshold() -> None:
    assert threshold(answers([0.9] * 10, truth=1)) == 0.0
    assert threshold(answers([0.9] * 10, truth=1), answers([0.9] * 10)) == 0.0


def test_every_threshold_is_a_level_of_the_file() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        scores = random.integers(0, 256, 60) / 256
        assert threshold(answers(scores), answers(random.random(30))) in LEVELS


def test_the_figures_of_a_test_split() -> None:
    """Ten right (two of them under the threshold), four wrong (one shown, one nothing), one nothing that is right."""
    scores = np.array([0.9] * 8 + [0.3] * 2 + [0.8, 0.2, 0.2, 0.9, 0.9])
    truth = np.array([0] * 10 + [1] * 4 + [2])
    found = np.array([0] * 10 + [0, 0, 0, 2, 2])
    test = answers(scores, truth=truth, found=found)
    before = answers(np.ones(15), truth=truth, found=[*found[:-1], 1])
    strangers = answers([0.9, 0.1, 0.1, 0.9], found=np.array([0, 0, 0, 2]))
    report = figures(level=0.5, before=before, test=test, strangers=strangers, chosen_on=7)
    assert report["right_accepted"] == {"share": 0.8, "interval": list(wilson(8, 10)), "n": 10}
    assert report["wrong_accepted"] == {"share": 0.25, "interval": list(wilson(1, 4)), "n": 4}
    assert report["out_of_set_accepted"] == {"share": 0.25, "interval": list(wilson(1, 4)), "n": 4, "chosen_on": 7}
    assert report["ece_before"] == pytest.approx(1 - 10 / 15, abs=1e-6)
    assert report["ece"] == calibration_error(scores, truth == found)
    assert report["answers_changed"] == 1
    assert figures(level=0.5, before=before, test=test, strangers=None, chosen_on=0)["out_of_set_accepted"] is None


def test_a_class_of_nothing_is_advised_where_strangers_get_in() -> None:
    told = advice({"out_of_set_accepted": {"share": 0.417}}, ("cat", "dog"))
    assert told
    assert "42%" in told
    assert "'nothing'" in told
    assert advice({"out_of_set_accepted": {"share": 0.05}}, ("cat", "dog")) is None
    assert advice({"out_of_set_accepted": {"share": 0.417}}, LABELS) is None
    assert advice({"out_of_set_accepted": None}, ("cat", "dog")) is None


def test_of_no_answers_no_share() -> None:
    assert acceptance(np.array([], bool)) is None
