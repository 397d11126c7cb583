"""Coverage is counted on series whose truth is known; seeds are fixed, so nothing here depends on luck."""

import numpy as np
import pytest

from edgecnn import bootstrap


def correlated(seed: int, n: int, memory: float) -> bootstrap.Series:
    """Log-normal times with a median of 1 ms, each leaning on the one before: an AR(1) in the logarithm."""
    random = np.random.default_rng(seed)
    shocks = random.normal(0, np.sqrt(1 - memory**2), n)
    logs = np.empty(n)
    logs[0] = random.normal()
    for place in range(1, n):
        logs[place] = memory * logs[place - 1] + shocks[place]
    return np.exp(0.1 * logs)


def covered(memory: float, repeats: int) -> int:
    found = 0
    for seed in range(repeats):
        intervals = bootstrap.intervals(correlated(seed, 400, memory))
        assert intervals
        low, high = intervals["p50_ms"]
        found += low <= 1.0 <= high
    return found


@pytest.mark.parametrize("memory", [0.0, 0.5])
def test_the_interval_of_a_median_covers_it_nine_times_in_ten(memory: float) -> None:
    assert covered(memory, 40) >= 36


def test_draws_one_by_one_would_promise_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "block_length", lambda series: 1)
    assert covered(0.7, 40) < 32


def test_the_ratio_of_pairs_loses_what_fell_on_both() -> None:
    """A neighbour that doubles all times for a while widens the medians, and not their ratio."""
    random = np.random.default_rng(1)
    neighbour = 1 + (np.sin(np.arange(400) / 25) > 0)
    first, other = (neighbour * scale * random.normal(1, 0.01, 400) for scale in (1.0, 3.0))
    value, interval = bootstrap.ratio(first, other)
    assert interval
    assert interval[0] <= 3.0 <= interval[1]
    assert interval[1] - interval[0] < 0.2
    alone = bootstrap.intervals(first)
    assert alone
    assert alone["p50_ms"][1] - alone["p50_ms"][0] > 0.5
    assert value == pytest.approx(3.0, rel=0.05)


def test_the_ratio_of_a_series_to_itself_is_one() -> None:
    series = correlated(5, 100, 0.5)
    assert bootstrap.ratio(series, series) == (1.0, [1.0, 1.0])


def test_blocks_are_longer_where_times_are_alike_for_longer() -> None:
    alone, lasting = (np.median([bootstrap.block_length([correlated(s, 1000, m)]) for s in range(9)]) for m in (0, 0.9))
    assert alone == 10  # the cube root of n
    assert 20 < lasting <= 125


def test_a_drift_makes_the_longest_blocks_and_a_constant_is_no_fault() -> None:
    assert bootstrap.block_length([np.arange(200.0)]) == 25
    assert bootstrap.block_length([np.ones(200)]) == 6
    assert bootstrap.intervals(np.ones(200)) == {name: [1.0, 1.0] for name in ("min_ms", "p50_ms", "p90_ms", "p99_ms")}


def test_few_timings_have_no_interval() -> None:
    few = np.ones(bootstrap.LEAST - 1)
    assert bootstrap.intervals(few) is None
    assert bootstrap.ratio(few, 2 * few) == (2.0, None)
    assert bootstrap.intervals(np.ones(bootstrap.LEAST)) is not None


def test_an_interval_holds_its_statistic_and_is_the_same_every_time() -> None:
    series = correlated(2, 300, 0.5)
    intervals = bootstrap.intervals(series)
    assert intervals
    assert intervals == bootstrap.intervals(series)
    for name, percent in (("min_ms", 0), ("p50_ms", 50), ("p90_ms", 90), ("p99_ms", 99)):
        low, high = intervals[name]
        assert low <= round(float(np.percentile(series, percent)), 4) <= high
