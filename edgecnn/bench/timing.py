"""The loop that times models in turn: tight or at a camera's pace, loaded anew now and then, warmed up each time."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from statistics import median

import numpy as np
from numpy.typing import NDArray

from edgecnn.targets import Session

Turns = Sequence[tuple[Callable[[], None], list[int]]]  # how to invoke a model, and its times in ns

_TOLD = 10  # times, of a single load
LOADS = 10  # of each model, where there are enough runs for them
_RUNS_A_LOAD = 10  # at least

# The warm-up: blocks of so many rounds; so many blocks in a row whose medians are so near; never more than these.
_BLOCK, _STEADY_BLOCKS, _NEAR = 8, 3, 0.05
_MOST_BLOCKS, _MOST_SECONDS, _MOST_SECONDS_AGAIN = 25, 5.0, 0.5


@dataclass(frozen=True, kw_only=True)
class WarmUp:
    """Invokes of each model that were not counted, whether its times had settled by then, and at what (in ns)."""

    discarded: int
    settled: bool
    levels_ns: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Timings:
    """What a loop read.

    Attributes:
        samples_ns: (models, loads, runs), in the order in which they were taken.
        discarded: invokes of each model that warmed it up, after all of its loads.
        settled: whether the times had settled after the first load.
        late: invokes whose turn had come before the one ahead of them was done; 0 in a tight loop.
    """

    samples_ns: NDArray[np.int64]
    discarded: int
    settled: bool
    late: int = 0


class Pace:
    """A camera's clock: each `wait` ends when the next frame would be there, and does not drift.

    Args:
        rate: frames a second.
    """

    def __init__(self, rate: float) -> None:
        self._interval_ns = round(1e9 / rate)
        self._due = time.perf_counter_ns()
        self.late = 0

    def wait(self) -> None:
        """Sleep until the next frame. One that is overdue is taken at once, and the clock goes on from there."""
        self._due += self._interval_ns
        left = self._due - time.perf_counter_ns()
        if left > 0:
            time.sleep(left / 1e9)
        else:
            self.late += 1
            self._due -= left


def timed(
    loaders: Sequence[Callable[[], Session]],
    *,
    runs: int,
    loads: int | None = None,
    rate: float | None = None,
    on_run: Callable[[int, int], None] = lambda done, total: None,
) -> Timings:
    """Time models in turn, so that what else the host does falls on all of them alike.

    They are loaded several times, each time another first: where a model's memory lies is a part of its latency, and
    so is who comes before it.

    Args:
        loaders: each gives a session that is ready, with its inputs filled.
        runs: timed invokes of each model, rounded up to a multiple of the loads.
        loads: how often each model is loaded; None takes 10, or fewer where there would be fewer than 10 runs in each.
        rate: invokes a second, of all models together, between which this sleeps as a program with a camera would;
            None does not sleep.
        on_run: told the invokes done and those in all, after each load; of one load, ten times.
    """
    loads = loads or loads_of(runs)
    each = -(-runs // loads)
    samples_ns = np.empty((len(loaders), loads, each), np.int64)
    warm_ups: list[WarmUp] = []
    late = 0
    for load in range(loads):
        order = [(load + place) % len(loaders) for place in range(len(loaders))]
        known = [warm_ups[0].levels_ns[place] for place in order] if warm_ups else None
        pace = Pace(rate) if rate else None
        parts = _parts(each, _TOLD if loads == 1 else 1)
        told = [each * load + sum(parts[: place + 1]) for place in range(len(parts))]
        reports = [partial(on_run, done, each * loads) for done in told]
        ours = [loaders[place] for place in order]
        warmed, samples_ns[order, load] = _one_load(ours, list(zip(parts, reports, strict=True)), pace, known)
        warm_ups.append(warmed)
        late += pace.late if pace else 0
    discarded = sum(warm_up.discarded for warm_up in warm_ups)
    return Timings(samples_ns=samples_ns, discarded=discarded, settled=warm_ups[0].settled, late=late)


def loads_of(runs: int) -> int:
    """How often a model is loaded for so many runs: 10 times, or fewer where there would be fewer than 10 in each."""
    return min(max(runs // _RUNS_A_LOAD, 1), LOADS)


def _parts(runs: int, parts: int) -> list[int]:
    """So many runs in so many parts, or fewer, none of which is empty."""
    ends = [runs * part // parts for part in range(parts + 1)]
    return [end - start for start, end in pairwise(ends) if end > start]


def _one_load(
    loaders: Sequence[Callable[[], Session]],
    parts: Sequence[tuple[int, Callable[[], None]]],
    pace: Pace | None,
    known: Sequence[float] | None,
) -> tuple[WarmUp, NDArray[np.int64]]:
    """Load each model, warm all up, and time them; the models are gone before the next ones are loaded.

    The runs are in parts, each with who is told when it is done: never between an invoke's clocks.
    """
    wait = pace.wait if pace else None
    turns = [(loader().invoke, list[int]()) for loader in loaders]

    def once() -> list[int]:
        _rounds(turns, 1, wait)
        return [samples[-1] for _, samples in turns]

    warmed = warm_up(once, known=known)
    if pace:
        pace.late = 0
    for runs, told in parts:
        _rounds(turns, runs, wait)
        told()
    count = sum(runs for runs, _ in parts)
    return warmed, np.array([samples[-count:] for _, samples in turns])


def warm_up(once: Callable[[], Sequence[int]], *, known: Sequence[float] | None = None) -> WarmUp:
    """Run rounds until the times have settled: three blocks of 8 rounds whose medians differ by at most 5 %.

    It gives up after 25 blocks, and where rounds are slow as soon as 5 seconds are over.

    Args:
        once: invokes every model, and gives their times.
        known: where each model's times were after an earlier warm-up, in ns. A block that is at most 5 % above them
            is enough then, and the patience is a tenth.
    """
    until = time.monotonic() + (_MOST_SECONDS if known is None else _MOST_SECONDS_AGAIN)
    most = _BLOCK * _MOST_BLOCKS if known is None else _BLOCK * _STEADY_BLOCKS
    rounds: list[Sequence[int]] = []
    settled = False
    while not settled and len(rounds) < most:
        rounds.append(once())
        settled = len(rounds) % _BLOCK == 0 and _settled(rounds, known)
        if time.monotonic() > until:
            break
    levels_ns = tuple(float(median(times)) for times in zip(*rounds[-_BLOCK:], strict=True))
    return WarmUp(discarded=len(rounds), settled=settled, levels_ns=levels_ns)


def _settled(rounds: Sequence[Sequence[int]], known: Sequence[float] | None) -> bool:
    """Whether the last blocks of each model have much the same median, or the last one is where it was before."""
    blocks = [rounds[start : start + _BLOCK] for start in range(0, len(rounds), _BLOCK)][-_STEADY_BLOCKS:]
    medians = np.array([[median(times) for times in zip(*block, strict=True)] for block in blocks])
    if known is not None and (medians[-1] <= np.asarray(known) * (1 + _NEAR)).all():
        return True
    near = medians.max(axis=0) <= medians.min(axis=0) * (1 + _NEAR)
    return len(blocks) == _STEADY_BLOCKS and bool(near.all())


def _rounds(turns: Turns, count: int, wait: Callable[[], None] | None) -> None:
    """Each model so many times in turn; its times in ns are added to its list. All that could be left out here is."""
    clock = time.perf_counter_ns
    for _ in range(count):
        for invoke, samples in turns:
            if wait:
                wait()
            start = clock()
            invoke()
            samples.append(clock() - start)
