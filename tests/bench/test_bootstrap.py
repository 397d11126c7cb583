"""Coverage is counted on series whose truth is known; seeds are fixed, so nothing here depends on luck."""

from typing import Any

import numpy as np
import pytest

from edgecnn.bench import bootstrap


def correlated(seed: int, n: int, memory: float) -> bootstrap.Series:
    """Log-normal times with a median of 1 ms, each leaning on the one before: an AR(1) in the logarithm."""
    random = np.random.default_rng(seed)
    shocks = random.normal(0, np.sqrt(1 - memory**2), n)
    logs = np.empty(n)
    logs[0] = random.normal()
    for place in range(1, n):
        logs[place] = memory * logs[place - 1] + shocks[place]
    return np.exp(0.1 * logs)


def loaded(seed: int, loads: int = 10, each: int = 20, *, memory: float, layout: float = 0.0) -> bootstrap.Series:
    """Such a series in loads, each of which has a factor of its own."""
    factors = np.exp(layout * np.random.default_rng((seed, 1)).normal(size=(loads, 1)))
    return correlated(seed, loads * each, memory).reshape(loads, each) * factors


def covered(**options: Any) -> int:
    """How many of 60 intervals of a median cover 1."""
    found = 0
    for seed in range(60):
        intervals = bootstrap.intervals(loaded(seed, **options))
        assert intervals
        assert intervals["p50_ms"]
        low, high = intervals["p50_ms"]
        found += low <= 1.0 <= high
    return found


@pytest.mark.parametrize(("memory", "layout"), [(0.0, 0.0), (0.5, 0.0), (0.0, 0.1)])
@pytest.mark.native("thousands of draws")
def test_the_interval_of_a_median_covers_it_nine_times_in_ten(memory: float, layout: float) -> None:
    assert covered(memory=memory, layout=layout) >= 54


@pytest.mark.native("thousands of draws")
def test_draws_one_by_one_would_promise_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = bootstrap.intervals
    monkeypatch.setattr(bootstrap, "intervals", lambda samples: whole(samples.reshape(-1, 1)))
    assert covered(memory=0.7) < 48
    assert covered(memory=0.0, layout=0.1) < 48


def test_the_ratio_of_pairs_loses_what_fell_on_both() -> None:
    """A neighbour that doubles all times for a while widens the medians, and not their ratio."""
    random = np.random.default_rng(1)
    neighbour = 1 + (np.sin(np.arange(400) / 25) > 0).reshape(10, 40)
    first, other = (neighbour * scale * random.normal(1, 0.01, (10, 40)) for scale in (1.0, 3.0))
    value, interval = bootstrap.ratio(first, other)
    assert interval
    assert interval[0] <= 3.0 <= interval[1]
    assert interval[1] - interval[0] < 0.2
    alone = bootstrap.intervals(first)
    assert alone
    assert alone["p50_ms"]
    assert alone["p50_ms"][1] - alone["p50_ms"][0] > 0.5
    assert value == pytest.approx(3.0, rel=0.05)


def test_the_ratio_of_a_series_to_itself_is_one() -> None:
    series = loaded(5, memory=0.5)
    assert bootstrap.ratio(series, series) == (1.0, [1.0, 1.0])


def test_a_constant_is_no_fault() -> None:
    expected = {name: [1.0, 1.0] for name in ("p50_ms", "p90_ms", "p99_ms")}
    assert bootstrap.intervals(np.ones((10, 30))) == expected


def test_few_loads_have_no_interval() -> None:
    few = np.ones((bootstrap.LEAST - 1, 100))
    assert bootstrap.intervals(few) is None
    assert bootstrap.ratio(few, 2 * few) == (2.0, None)
    assert bootstrap.intervals(np.ones((bootstrap.LEAST, 1))) is not None


def test_six_loads_are_the_fewest_that_lie_on_both_sides_of_a_median() -> None:
    assert (bootstrap.LEAST, bootstrap._bounded(6, 50), bootstrap._bounded(5, 50)) == (6, True, False)


@pytest.mark.parametrize(
    ("shape", "known"), [((7, 4), [1, 0, 0]), ((7, 5), [1, 1, 0]), ((6, 49), [1, 1, 0]), ((6, 50), [1, 1, 1])]
)
def test_a_percentile_that_few_timings_lie_beyond_has_no_interval(shape: tuple[int, int], known: list[int]) -> None:
    intervals = bootstrap.intervals(loaded(4, *shape, memory=0.0))
    assert intervals
    assert list(intervals) == ["p50_ms", "p90_ms", "p99_ms"]
    assert [each is not None for each in intervals.values()] == known


@pytest.mark.native("thousands of draws")
def test_where_a_p99_has_an_interval_it_is_mostly_covered() -> None:
    """Of 100 timings, which have none, it would be in 60 of 100."""
    found = [bootstrap.intervals(loaded(seed, each=50, memory=0.0)) for seed in range(60)]
    ends = [each["p99_ms"] for each in found if each]
    assert sum(low <= np.exp(0.1 * 2.3263) <= high for low, high in filter(None, ends)) >= 51


@pytest.mark.parametrize("loads", [6, 7, 10])
@pytest.mark.parametrize("slow", [1.1, 2.0, 50.0])
def test_no_interval_ends_beyond_what_was_seen(loads: int, slow: float) -> None:
    """A tail that one load has made the low end of a p99 less than the minimum."""
    series = loaded(7, loads, 50, memory=0.3)
    series[2, :25] *= slow
    intervals = bootstrap.intervals(series)
    assert intervals
    for interval in filter(None, intervals.values()):
        assert round(float(series.min()), 4) <= interval[0] <= interval[1] <= round(float(series.max()), 4)


def test_an_interval_holds_its_statistic_and_is_the_same_every_time() -> None:
    series = loaded(2, each=30, memory=0.5)
    intervals = bootstrap.intervals(series)
    assert intervals
    assert intervals == bootstrap.intervals(series)
    for name, percent in (("p50_ms", 50), ("p90_ms", 90), ("p99_ms", 99)):
        interval = intervals[name]
        assert interval
        assert interval[0] <= round(float(np.percentile(series, percent)), 4) <= interval[1]


def test_no_time_is_negative_however_wild_the_slowest_are() -> None:
    series = np.ones((10, 30))
    series[3, 5], series[8, 2], series[8, 3], series[8, 4] = 40.0, 900.0, 950.0, 1000.0
    intervals = bootstrap.intervals(series)
    assert intervals
    assert intervals["p99_ms"]
    low, high = intervals["p99_ms"]
    assert 1 <= low < 40 < high <= 1000


def test_many_timings_are_drawn_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    series = loaded(3, memory=0.0)
    whole = bootstrap.intervals(series)
    monkeypatch.setattr(bootstrap, "_AT_ONCE", 3 * series.size)
    assert bootstrap.intervals(series) == whole
