"""How far the scores of a file can be believed, and under which score a device says "unknown"."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle import NOTHING, nothing_classes
from edgecnn.evaluation import Evaluation, wilson

BINS = 15
LEVELS = np.arange(257) / 256  # the scores that a uint8 output can give, and one that it cannot
KEPT, KEPT_AT_LEAST, LET_IN = 0.95, 0.80, 0.05
_ACCEPTED = ("right", "wrong", "out_of_set")


def calibration_error(scores: NDArray[Any], right: NDArray[np.bool_]) -> float:
    """The expected calibration error: by how much the best scores differ from the share of right answers.

    In `BINS` bins of equal width, each open below and closed above, weighted by the images in it (Guo et al. 2017,
    arXiv:1706.04599, equation 3).

    Args:
        scores: (n,), the best score of each image, 0 to 1.
        right: (n,), whether its class is right.
    """
    scores = np.asarray(scores, np.float64)
    bins = np.clip(np.ceil(scores * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.bincount(bins, scores, BINS) - np.bincount(bins, right, BINS)
    return round(float(np.abs(gaps).sum() / len(scores)), 6)


def threshold(validation: Evaluation, strangers: Evaluation | None = None) -> float:
    """The score under which an answer is "unknown"; one of `LEVELS`.

    Without images that show none of the classes: the highest threshold that keeps 95 % of the right answers. With
    them: the lowest that lets in at most 5 % of theirs, but never one that keeps fewer than 80 % of the right ones.
    Answers of a class of nothing are never let in, and there is nothing to keep of them. Where no answer is right, 0.

    Args:
        validation: answers to images whose classes are known.
        strangers: answers to images of none of the classes.
    """
    right = validation.scores[_right(validation)]
    if not len(right):
        return 0.0
    kept = np.array([(right >= level).mean() for level in LEVELS])
    if strangers is None:
        return float(LEVELS[kept >= KEPT].max())
    let_in = np.array([accepted(strangers, level).mean() for level in LEVELS])
    return float(min(LEVELS[let_in <= LET_IN].min(), LEVELS[kept >= KEPT_AT_LEAST].max()))


def accepted(answers: Evaluation, level: float) -> NDArray[np.bool_]:
    """Which answers a device shows at a threshold: (n,)."""
    return np.asarray((answers.scores >= level) & ~_nothing(answers))


def acceptance(answers: NDArray[np.bool_]) -> dict[str, Any] | None:
    """The share of answers that are accepted, its 95 % interval (low, high), and n; None of no answers."""
    if not len(answers):
        return None
    interval = wilson(int(answers.sum()), len(answers))
    return {"share": round(float(answers.mean()), 6), "interval": list(interval), "n": len(answers)}


def figures(
    *, level: float, before: Evaluation, test: Evaluation, strangers: Evaluation | None, chosen_on: int
) -> dict[str, Any]:
    """What the report says of the scores.

    Args:
        level: the threshold.
        before: the answers on the test split without the temperature.
        test: with it.
        strangers: those on images of none of the classes that have chosen no threshold.
        chosen_on: the number of those that have.
    """
    shown, is_right = accepted(test, level), test.answers == test.truth
    out_of_set = None if strangers is None else acceptance(accepted(strangers, level))
    return {
        "ece_before": calibration_error(before.scores, before.answers == before.truth),
        "ece": calibration_error(test.scores, is_right),
        "answers_changed": int((before.answers != test.answers).sum()),  # where two scores became one of 256 levels
        "threshold": level,
        "right_accepted": acceptance(shown[_right(test)]),
        "wrong_accepted": acceptance(shown[~is_right]),
        "out_of_set_accepted": out_of_set and {**out_of_set, "chosen_on": chosen_on},
    }


def advice(found: dict[str, Any], labels: tuple[str, ...]) -> str | None:
    """What can be done where the threshold lets in more than it should; None where it does not.

    Args:
        found: the figures.
        labels: of the network.
    """
    strangers = found["out_of_set_accepted"]
    if strangers is None or strangers["share"] <= LET_IN or nothing_classes(labels):
        return None
    return (
        f"{strangers['share']:.0%} of the images of none of the classes are taken for one: a threshold helps little "
        f"where a network is sure of everything; a class {NOTHING[0]!r} of such images, in the data, can"
    )


def unknown() -> dict[str, Any]:
    """The same where there are no labels."""
    names = ("ece_before", "ece", "answers_changed", "threshold", *(f"{each}_accepted" for each in _ACCEPTED))
    return dict.fromkeys(names)


def _right(answers: Evaluation) -> NDArray[np.bool_]:
    """Which answers are right, and of a class that is something."""
    return np.asarray((answers.answers == answers.truth) & ~_nothing(answers))


def _nothing(answers: Evaluation) -> NDArray[np.bool_]:
    return np.isin(answers.answers, nothing_classes(answers.labels))
