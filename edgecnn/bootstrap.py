"""How well latencies are known: intervals by a block bootstrap, whose blocks are loads of the model.

Timings that follow each other are alike, and those of one load are alike in another way: where its memory came to lie
makes it a few tenths of a percent faster or slower for as long as it lives (Mytkowicz and others, "Producing Wrong Data
Without Doing Anything Obviously Wrong", ASPLOS 2009). So a model is loaded several times, and what is drawn, with
replacement, are whole loads: blocks of neighbours, as Künsch has it for series ("The Jackknife and the Bootstrap for
General Stationary Observations", Annals of Statistics 17, 1989), and Kalibera and Jones for benchmarks ("Rigorous
Benchmarking in Reasonable Time", ISMM 2013). A block is so long as a load is, n / 10, which is more than n^(1/3).

Intervals are of percentiles, 95 %, stretched as Student's t is against the normal for as many observations as there
are blocks. That of the minimum never lies below what was seen, for nothing drawn does: the bootstrap is no good for
extremes (Bickel and Freedman 1981), and a p99 of few timings is almost one.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float64]

LEAST = 5  # loads; an interval of fewer would be a guess
_ROUNDS, _AT_ONCE = 1000, 1 << 18  # draws; timings that are in memory at once
_LEVEL = (2.5, 97.5)
_STATISTICS = {"min_ms": 0, "p50_ms": 50, "p90_ms": 90, "p99_ms": 99}


def intervals(samples_ms: Series) -> dict[str, list[float]] | None:
    """The 95 % intervals of min, p50, p90 and p99 by name, in ms; None of fewer than 5 loads.

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
    return {name: _interval(float(value), each, loads) for name, value, each in found}


def ratio(first_ms: Series, other_ms: Series) -> tuple[float, list[float] | None]:
    """How many times the median of the first the other's is, with its 95 % interval (None of fewer than 5 loads).

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


def _interval(value: float, drawn: Series, blocks: int) -> list[float]:
    """Percentiles of what a statistic was in drawn series, stretched away from what it is (Student 1908).

    Stretched are their logarithms, for neither a time nor a ratio of two is negative.
    """
    free = blocks - 1
    stretch = math.sqrt(blocks / free) * (1 + 1.21 / free + 1.44 / free**2)  # t / z at 95 %, by Cornish and Fisher
    low, high = (value * (float(end) / value) ** stretch for end in np.percentile(drawn, _LEVEL))
    return [round(low, 4), round(high, 4)]
