"""How well latencies are known: intervals by the moving-block bootstrap.

Timings that follow each other are alike (a clock that rises, a neighbour that works for a while), so drawing them one
by one would promise too much. Blocks of neighbours are drawn instead, with replacement, until there is a series as
long as the first; what a statistic does over many such series is its uncertainty.

Künsch, "The Jackknife and the Bootstrap for General Stationary Observations", Annals of Statistics 17 (1989). An
interval is that of percentiles, 95 %. That of the minimum never lies below what was seen, for nothing drawn does: the
bootstrap is no good for extremes (Bickel and Freedman 1981), and a p99 of few timings is almost one.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float64]

LEAST = 20  # timings; an interval of fewer would be a guess
_ROUNDS = 1000
_LEVEL = (2.5, 97.5)
_STATISTICS = {"min_ms": 0, "p50_ms": 50, "p90_ms": 90, "p99_ms": 99}


def intervals(samples_ms: Series) -> dict[str, list[float]] | None:
    """The 95 % intervals of min, p50, p90 and p99 by name, of a series (n,) in ms; None where n is below 20."""
    if len(samples_ms) < LEAST:
        return None
    percents = list(_STATISTICS.values())
    drawn = [np.percentile(samples_ms[places], percents) for places in _series(len(samples_ms), [samples_ms])]
    low, high = np.percentile(drawn, _LEVEL, axis=0)
    return {name: [round(float(low[place]), 4), round(float(high[place]), 4)] for place, name in enumerate(_STATISTICS)}


def ratio(first_ms: Series, other_ms: Series) -> tuple[float, list[float] | None]:
    """How many times the median of the first the other's is, with its 95 % interval (None where n is below 20).

    Args:
        first_ms: timings (n,).
        other_ms: timings (n,), taken in turn with the first. Pairs are drawn, so what fell on both cancels out.
    """
    value = round(float(np.median(other_ms) / np.median(first_ms)), 4)
    if len(first_ms) < LEAST:
        return value, None
    pairs = np.stack([first_ms, other_ms])
    medians = np.array([np.median(pairs[:, places], axis=1) for places in _series(len(first_ms), list(pairs))])
    low, high = np.percentile(medians[:, 1] / medians[:, 0], _LEVEL)
    return value, [round(float(low), 4), round(float(high), 4)]


def block_length(series: Sequence[Series]) -> int:
    """Neighbours that are drawn together: n^(1/3), or twice the lag to which timings are still alike; at most n / 8.

    The lag is the last before five autocorrelations that could be chance, under 2 sqrt(log10(n) / n), as Politis and
    White (Econometric Reviews 23, 2004) choose theirs; here of which side of the median each timing is on, which a few
    slow outliers do not blind.
    """
    n = len(series[0])
    alike = max(_lag(each) for each in series)
    return max(1, min(max(math.ceil(n ** (1 / 3)), 2 * alike), n // 8))


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


def _series(n: int, series: Sequence[Series]) -> Iterator[NDArray[np.int64]]:
    """The places (n,) of the timings of each drawn series; the same for the same data, every time."""
    block = block_length(series)
    random = np.random.default_rng(0)
    within = np.arange(block)
    for _ in range(_ROUNDS):
        starts = random.integers(0, n - block + 1, math.ceil(n / block))
        yield (starts[:, np.newaxis] + within).ravel()[:n]
