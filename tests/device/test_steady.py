import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.device.steady import MARGIN, Steady


def of(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32)


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
    smoothed, shown = steady.update(of(0.49, 0.51), at_s)
    assert (smoothed.tolist(), shown) == (of(0.49, 0.51).tolist(), 1)
    assert steady.update(of(0.45, 0.45), at_s)[1] is None


def test_a_label_does_not_flicker_between_two_that_are_close() -> None:
    steady = Steady(smoothing_s=1e-9)  # the frame alone, but with what was shown before
    shown = [steady.update(of(0.5 + d, 0.5 - d), float(n))[1] for n, d in enumerate((0.02, -0.02, 0.03, -0.04, 0.0))]
    assert shown == [0] * 5
    assert steady.update(of(0.4, 0.4 + 2 * MARGIN), 9.0)[1] == 1


def test_a_class_is_taken_up_at_the_threshold_and_left_a_margin_under_it() -> None:
    steady = Steady(threshold=0.7, smoothing_s=1e-9)
    scores = (0.65, 0.71, 0.65, 0.61, 0.59, 0.65)
    shown = [steady.update(of(score, 0.2), float(n))[1] for n, score in enumerate(scores)]
    assert shown == [None, 0, 0, 0, None, None]


def test_a_class_of_nothing_is_unknown_and_takes_the_place_of_what_was_shown() -> None:
    steady = Steady(smoothing_s=1e-9, nothing=(1,))
    scores = ((0.9, 0.1), (0.45, 0.55), (0.1, 0.9), (0.45, 0.55), (0.6, 0.4))
    assert [steady.update(of(*pair), float(n))[1] for n, pair in enumerate(scores)] == [0, None, None, None, 0]


def test_the_threshold_may_change() -> None:
    steady = Steady(threshold=0.9)
    assert steady.update(of(0.8, 0.2), 0.0)[1] is None
    steady.threshold = 0.5
    assert steady.update(of(0.8, 0.2), 0.1)[1] == 0


def test_a_score_that_is_no_number_does_not_stay() -> None:
    steady = Steady()
    steady.update(of(float("nan"), 0.2), 0.0)
    smoothed, shown = steady.update(of(0.1, 0.9), 0.1)
    assert np.isfinite(smoothed).all()
    assert shown == 1
