import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.device.steady import MARGIN, Steady


def of(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def shown(steady: Steady, *scores: tuple[float, ...], step_s: float = 0.1) -> list[int | None]:
    return [steady.update(of(*each), number * step_s)[1] for number, each in enumerate(scores)]


A, B = (0.9, 0.1), (0.1, 0.9)


def test_a_score_loses_its_weight_with_time_and_not_with_frames() -> None:
    for frames in (1, 10, 100):
        steady = Steady(smoothing_s=0.5)
        steady.update(of(1, 0), 0.0)
        for frame in range(1, frames + 1):
            smoothed, _ = steady.update(of(0, 1), 0.5 * frame / frames)
        assert smoothed == pytest.approx([np.exp(-1), 1 - np.exp(-1)], abs=1e-5)


@pytest.mark.parametrize(("smoothing_s", "at_s"), [(0.0, 0.1), (0.3, None)])
def test_without_time_each_frame_is_by_itself(smoothing_s: float, at_s: float | None) -> None:
    steady = Steady(threshold=0.5, smoothing_s=smoothing_s)
    assert steady.update(of(0.9, 0.1), 0.0)[1] == 0
    smoothed, index = steady.update(of(0.49, 0.51), at_s)
    assert (smoothed.tolist(), index) == (of(0.49, 0.51).tolist(), 1)
    assert steady.update(of(0.45, 0.45), at_s)[1] is None


def test_one_frame_that_differs_changes_nothing_and_more_do() -> None:
    assert shown(Steady(smoothing_s=0.3), A, A, B, A, A) == [0] * 5
    assert shown(Steady(smoothing_s=0.3), A, A, B, B, B, B, B)[-1] == 1


def test_what_is_shown_stays_where_two_have_about_as_many_votes() -> None:
    steady = Steady(smoothing_s=1.0)
    steady.update(of(*A), 0.0)
    now, weight = 0.0, 1.0
    while weight > 0.5:  # until both have half of the votes
        now += 0.01
        assert steady.update(of(*B), now)[1] == 0
        weight = np.exp(-now)
    while weight > 0.5 - MARGIN / 2:
        now += 0.01
        index = steady.update(of(*B), now)[1]
        weight = np.exp(-now)
    assert index == 1


def test_the_threshold_is_that_of_single_frames() -> None:
    high = (0.96, 0.01)
    assert (
        shown(Steady(threshold=0.95, smoothing_s=0.3), (0.01, 0.96), *[high] * 6)[-1] == 0
    )  # though the mean is lower
    assert shown(Steady(threshold=0.95, smoothing_s=0.3), high, *[(0.94, 0.01)] * 6)[-1] is None


def test_a_class_of_nothing_is_a_vote_for_unknown() -> None:
    assert shown(Steady(smoothing_s=0.3, nothing=(1,)), A, B, B, B, B, B)[-1] is None
    assert shown(Steady(smoothing_s=0.3, nothing=(1,)), B, A, A, A, A, A) == [None] * 3 + [0] * 3


def test_the_threshold_may_change() -> None:
    steady = Steady(threshold=0.9, smoothing_s=0)
    assert steady.update(of(0.8, 0.2), 0.0)[1] is None
    steady.threshold = 0.5
    assert steady.update(of(0.8, 0.2), 0.1)[1] == 0


def test_a_score_that_is_no_number_does_not_stay() -> None:
    steady = Steady()
    steady.update(of(float("nan"), 0.2), 0.0)
    smoothed, index = steady.update(of(0.1, 0.9), 0.5)
    assert np.isfinite(smoothed).all()
    assert index == 1
