"""The loop that times models in turn: as fast as it goes or at a camera's pace, after a warm-up that the data ends."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from edgecnn.targets import Session

# The warm-up: blocks of so many rounds; so many blocks in a row whose medians are so near; never more than these.
_BLOCK, _STEADY_BLOCKS, _NEAR = 8, 3, 0.05
_MOST_BLOCKS, _MOST_SECONDS = 25, 5.0


@dataclass(frozen=True, kw_only=True)
class WarmUp:
    """Invokes of each model that were not counted, and whether its times had settled by then."""

    discarded: int
    settled: bool


@dataclass(frozen=True, kw_only=True)
class Timings:
    """What a loop read.

    Attributes:
        samples_ns: (models, runs), in the order in which they were taken.
        warm_up: what went before.
        late: invokes whose turn had come before the one ahead of them was done; 0 in a tight loop.
    """

    samples_ns: NDArray[np.int64]
    warm_up: WarmUp
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
    sessions: Sequence[Session],
    *,
    runs: int,
    rate: float | None = None,
    on_run: Callable[[int, int], None] = lambda done, total: None,
) -> Timings:
    """Time sessions in turn, so that what else the host does falls on all of them alike.

    Args:
        sessions: models that are ready; their inputs are filled.
        runs: timed invokes of each, after the warm-up.
        rate: invokes a second, of all sessions together, between which this sleeps as a program with a camera would;
            None does not sleep.
        on_run: told the rounds done and the rounds in all.
    """
    pace = Pace(rate) if rate else None
    wait = pace.wait if pace else _at_once
    turns = [(session.invoke, list[int]()) for session in sessions]
    before = warm_up(lambda: _round(turns, wait))
    for _, samples in turns:
        samples.clear()
    if pace:
        pace.late = 0
    for done in range(1, runs + 1):
        _round(turns, wait)
        if done % 64 == 0 or done == runs:  # seldom, for whoever listens is not part of what is measured
            on_run(done, runs)
    samples_ns = np.array([samples for _, samples in turns], np.int64)
    return Timings(samples_ns=samples_ns, warm_up=before, late=pace.late if pace else 0)


def warm_up(once: Callable[[], Sequence[int]]) -> WarmUp:
    """Run rounds until the times have settled: three blocks of 8 rounds whose medians differ by at most 5 %.

    It gives up after 25 blocks, and where rounds are slow at the first one that ends after 5 seconds.

    Args:
        once: invokes every model, and gives their times.
    """
    until = time.monotonic() + _MOST_SECONDS
    rounds: list[Sequence[int]] = []
    while len(rounds) < _BLOCK * _MOST_BLOCKS:
        rounds.append(once())
        if len(rounds) % _BLOCK == 0 and _settled(rounds):
            return WarmUp(discarded=len(rounds), settled=True)
        if time.monotonic() > until:
            break
    return WarmUp(discarded=len(rounds), settled=False)


def _settled(rounds: Sequence[Sequence[int]]) -> bool:
    """Whether the last blocks of each model have much the same median."""
    newest = rounds[-_BLOCK * _STEADY_BLOCKS :]
    if len(newest) < _BLOCK * _STEADY_BLOCKS:
        return False
    for times in zip(*newest, strict=True):
        medians = [median(times[start : start + _BLOCK]) for start in range(0, len(times), _BLOCK)]
        if max(medians) > min(medians) * (1 + _NEAR):
            return False
    return True


def _round(turns: Sequence[tuple[Callable[[], None], list[int]]], wait: Callable[[], None]) -> list[int]:
    """Each model once; its time in ns is added to its list."""
    for invoke, samples in turns:
        wait()
        start = time.perf_counter_ns()
        invoke()
        samples.append(time.perf_counter_ns() - start)
    return [samples[-1] for _, samples in turns]


def _at_once() -> None:
    pass
