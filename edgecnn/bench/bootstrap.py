"""How well latencies are known: intervals by a block bootstrap, whose blocks are loads of the model.

Timings that follow each other are alike, and those of one load are alike in another way: where its memory came to lie
makes it 0.1 to 1 % faster or slower for as long as it lives (Mytkowicz and others, "Producing Wrong Data
Without Doing Anything Obviously Wrong", ASPLOS 2009). So a model is loaded several times, and what is drawn, with
replacement, are whole loads: blocks of neighbours, as Künsch has it for series ("The Jackknife and the Bootstrap for
General Stationary Observations", Annals of Statistics 17, 1989), and Kalibera and Jones for benchmarks ("Rigorous
Benchmarking in Reasonable Time", ISMM 2013). A block is so long as a load is, n / 10, which is more than n^(1/3).

Intervals are percentiles of what was drawn, 95 %, at levels that are moved outwards as Student's t is against the
normal for as many observations as there are blocks (the expanded percentile interval of Hesterberg, "What Teachers
Should Know About the Bootstrap", The American Statistician 69, 2015). So none ends beyond what was seen, as one does
that is stretched away from the statistic: a p99 is not less than the minimum.

What was seen is also all that an interval can hold, and so there is none where the truth lies outside of it in more
than one case in twenty. All of n independent observations lie on one side of the percentile p in p^n + (1 - p)^n of
cases. Of a median that is 1 in 16 for 5 loads and 1 in 32 for 6: six is the least number of loads (60 runs of `bench`).
A p90 takes 29 timings and a p99 takes 299; of 100 timings, an interval of a p99 covered it in 60 % of cases. A minimum
never has one: the bootstrap is no good for extremes (Bickel and Freedman 1981).
"""

import math
from collections.abc import Iterator
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float64]

LEAST = 6  # loads: of 5, all lie on one side of the median in 1 of 16 cases
_ROUNDS, _AT_ONCE = 1000, 1 << 18  # draws; timings that are in memory at once
_MISSED = 0.05
_STATISTICS = {"p50_ms": 50, "p90_ms": 90, "p99_ms": 99}


def intervals(samples_ms: Series) -> dict[str, list[float] | None] | None:
    """The 95 % intervals of p50, p90 and p99 by name, in ms; None of fewer than 6 loads.

    That of a p90 is None where there are fewer than 29 timings, and that of a p99 where there are fewer than 299.

    Args:
        samples_ms: timings (loads, n).
    """
    loads = len(samples_ms)
    if loads < LEAST:
        return None
    percents = list(_STATISTICS.values())
    drawn = [np.percentile(_joined(samples_ms, each), percents, axis=1) for each in _draws(samples_ms)]
    seen = np.percentile(samples_ms, percents)
    found = zip(_STATISTICS, seen, np.hstack(drawn), strict=True)
    return {
        name: _interval(float(value), each, loads) if _bounded(samples_ms.size, _STATISTICS[name]) else None
        for name, value, each in found
    }


def ratio(first_ms: Series, other_ms: Series) -> tuple[float, list[float] | None]:
    """How many times the median of the first the other's is, with its 95 % interval (None of fewer than 6 loads).

    Args:
        first_ms: timings (loads, n).
        other_ms: timings (loads, n), taken in turn with the first. Pairs are drawn, so what fell on both cancels out.
    """
    value = float(np.median(other_ms) / np.median(first_ms))
    if len(first_ms) < LEAST:
        return round(value, 4), None
    drawn = [
        np.median(_joined(other_ms, each), axis=1) / np.median(_joined(first_ms, each), axis=1)
        for each in _draws(first_ms)
    ]
    return round(value, 4), _interval(value, np.concatenate(drawn), len(first_ms))


def _draws(samples: Series) -> Iterator[NDArray[np.int64]]:
    """Loads (some, loads) that make up each drawn series, 1000 in all; the same for the same shape, every time."""
    random = np.random.default_rng(0)
    some = max(1, _AT_ONCE // samples.size)
    for done in range(0, _ROUNDS, some):
        yield random.integers(0, len(samples), (min(some, _ROUNDS - done), len(samples)))


def _joined(samples: Series, loads: NDArray[np.int64]) -> Series:
    return samples[loads].reshape(len(loads), -1)


def _bounded(n: int, percent: float) -> bool:
    """Whether n timings lie on both sides of a percentile in at least 95 of 100 cases."""
    share = percent / 100
    return share**n + (1 - share) ** n <= _MISSED


def _interval(value: float, drawn: Series, blocks: int) -> list[float]:
    """Percentiles of what a statistic was in drawn series, further out the fewer blocks there are; it holds the value.

    It is the levels that are moved, and not the ends: an end is always a statistic of what was timed.
    """
    free = blocks - 1
    student = -NormalDist().inv_cdf(_MISSED / 2) * (1 + 1.21 / free + 1.44 / free**2)  # at 95 %, by Cornish and Fisher
    level = 100 * NormalDist().cdf(-student * math.sqrt(blocks / free))
    low, high = np.percentile(drawn, (level, 100 - level))
    return [round(min(float(low), value), 4), round(max(float(high), value), 4)]
