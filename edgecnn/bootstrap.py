"""How well latencies are known: intervals by the moving-block bootstrap.

Timings that follow each other are alike (a clock that rises, a neighbour that works for a while), so drawing them one
by one would promise too much. Blocks of neighbours are drawn instead, with replacement, until there is a series as
long as the first; what a statistic does over many such series is its uncertainty.

Künsch, "The Jackknife and the Bootstrap for General Stationary Observations", Annals of Statistics 17 (1989). An
interval is that of percentiles, 95 %, stretched as Student's t is against the normal for as many observations as there
are blocks, for few long blocks show too little of what may happen. That of the minimum never lies below what was seen,
for nothing drawn does: the bootstrap is no good for extremes (Bickel and Freedman 1981), and a p99 of few timings is
almost one.

On made-up series of 200 timings whose logarithm is an AR(1), the interval of the median covers the truth in 0.95 of 200
where neighbours are independent, in 0.92, 0.91 and 0.87 where their correlation is 0.5, 0.7 and 0.9.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float64]

LEAST = 20  # timings; an interval of fewer would be a guess
_ROUNDS, _AT_ONCE = 1000, 1 << 18  # series that are drawn; timings that are drawn at once
_LEVEL = (2.5, 97.5)
_STATISTICS = {"min_ms": 0, "p50_ms": 50, "p90_ms": 90, "p99_ms": 99}


def intervals(samples_ms: Series) -> dict[str, list[float]] | None:
    """The 95 % intervals of min, p50, p90 and p99 by name, of a series (n,) in ms; None where n is below 20."""
    if len(samples_ms) < LEAST:
        return None
    percents = list(_STATISTICS.values())
    drawn = [np.percentile(samples_ms[places], percents, axis=1) for places in _series([samples_ms])]
    seen = np.percentile(samples_ms, percents)
    found = zip(_STATISTICS, seen, np.hstack(drawn), strict=True)
    return {name: _interval(float(value), each, [samples_ms]) for name, value, each in found}


def ratio(first_ms: Series, other_ms: Series) -> tuple[float, list[float] | None]:
    """How many times the median of the first the other's is, with its 95 % interval (None where n is below 20).

    Args:
        first_ms: timings (n,).
        other_ms: timings (n,), taken in turn with the first. Pairs are drawn, so what fell on both cancels out.
    """
    value = float(np.median(other_ms) / np.median(first_ms))
    if len(first_ms) < LEAST:
        return round(value, 4), None
    drawn = [
        np.median(other_ms[places], axis=1) / np.median(first_ms[places], axis=1)
        for places in _series([first_ms, other_ms])
    ]
    return round(value, 4), _interval(value, np.concatenate(drawn), [first_ms, other_ms])


def block_length(series: Sequence[Series]) -> int:
    """Neighbours that are drawn together: n^(1/3), or four times the lag up to which they are alike; at most n / 8.

    The lag is the last before five autocorrelations that could be chance, under 2 sqrt(log10(n) / n), as Politis and
    White (Econometric Reviews 23, 2004) choose theirs; here of which side of the median each timing is on, which a few
    slow outliers do not blind.
    """
    n = len(series[0])
    alike = max(_lag(each) for each in series)
    return max(1, min(max(math.ceil(math.pow(n, 1 / 3)), 4 * alike), n // 8))


def _interval(value: float, drawn: Series, series: Sequence[Series]) -> list[float]:
    """Percentiles of what a statistic was in drawn series, stretched away from what it is (Student 1908)."""
    free = len(series[0]) / block_length(series) - 1
    stretch = math.sqrt((free + 1) / free) * (1 + 1.21 / free + 1.44 / free**2)  # t / z at 95 %, by Cornish-Fisher
    low, high = np.percentile(drawn, _LEVEL)
    return [round(value - (value - float(low)) * stretch, 4), round(value + (float(high) - value) * stretch, 4)]


def _lag(samples: Series) -> int:
    n = len(samples)
    sides = np.sign(samples - np.median(samples))
    spectrum = np.fft.rfft(sides - sides.mean(), 2 * n)
    correlations = np.fft.irfft(spectrum * spectrum.conj(), 2 * n)[: n // 4]
    if correlations[0] <= 1e-9:  # all the same
        return 0
    chance = np.abs(correlations / correlations[0]) < 2 * math.sqrt(math.log10(n) / n)
    runs = np.convolve(chance[1:], np.ones(5), "valid")
    return int(np.argmax(runs == 5)) if (runs == 5).any() else n // 4


def _series(series: Sequence[Series]) -> Iterator[NDArray[np.int64]]:
    """The places (some, n) of the timings of drawn series, 1000 in all; the same for the same data, every time."""
    n, block = len(series[0]), block_length(series)
    random = np.random.default_rng(0)
    some = max(1, _AT_ONCE // n)
    for done in range(0, _ROUNDS, some):
        starts = random.integers(0, n - block + 1, (min(some, _ROUNDS - done), math.ceil(n / block), 1))
        yield (starts + np.arange(block)).reshape(len(starts), -1)[:, :n]
