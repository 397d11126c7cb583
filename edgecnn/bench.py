"""`edgecnn bench`: how long one invoke takes on this machine, by number of threads."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgecnn import targets
from edgecnn.bundle import Bundle
from edgecnn.latency import LatencyStats, Stopwatch, host_facts, rss_mb
from edgecnn.targets import Session

WARM_UP = 10


def bench(
    bundle: Bundle,
    *,
    threads: Sequence[int],
    runs: int,
    target: str | None = None,
    on_run: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Time a model, all thread counts interleaved.

    Args:
        bundle: any model; its inputs are filled with random values.
        threads: thread counts to compare.
        runs: timed invokes for each, after a warm-up.
        target: the runtime; None takes the first that is installed.
        on_run: told the rounds done and the rounds in all.

    Returns:
        ``runtime``, ``runs`` (one entry a thread count), ``cold_start_ms`` (load, allocate and first invoke, with
        the first thread count), ``rss_mb`` and ``host``.
    """
    chosen = targets.choose(target)
    start = time.perf_counter_ns()
    sessions = [_warm(chosen.load(bundle.model, threads=threads[0]))]
    cold_start_ms = (time.perf_counter_ns() - start) / 1e6
    sessions += [_warm(chosen.load(bundle.model, threads=count)) for count in threads[1:]]
    stats = interleaved(sessions, runs=runs, on_run=on_run)
    return {
        "runtime": sessions[0].runtime,
        "runs": [{"threads": count, **each.as_json()} for count, each in zip(threads, stats, strict=True)],
        "cold_start_ms": round(cold_start_ms, 3),
        "rss_mb": rss_mb(),
        "host": host_facts(),
    }


def interleaved(
    sessions: Sequence[Session], *, runs: int, on_run: Callable[[int, int], None] = lambda done, total: None
) -> list[LatencyStats]:
    """Time sessions in turn, so that what else the host does falls on all of them alike.

    Args:
        sessions: models that are ready; `prepare` gives their inputs.
        runs: timed invokes of each, after a warm-up of 10.
        on_run: told the rounds done and the rounds in all.
    """
    watches = [Stopwatch() for _ in sessions]
    for _ in range(WARM_UP):
        for session in sessions:
            session.invoke()
    for done in range(runs):
        for session, watch in zip(sessions, watches, strict=True):
            with watch:
                session.invoke()
        if done % 64 == 63 or done + 1 == runs:  # seldom, for whoever listens is not part of what is measured
            on_run(done + 1, runs)
    return [LatencyStats.of(watch.samples_ns) for watch in watches]


def prepare(session: Session) -> Session:
    """Fill a session's inputs with random values of their types; wide integers, which are indices, with zeros."""
    random = np.random.default_rng(0)
    for index, tensor in enumerate(session.inputs):
        if tensor.dtype.kind in "iu" and tensor.dtype.itemsize > 2:
            value = np.zeros(tensor.shape, tensor.dtype)  # indices, of which only the smallest are sure to exist
        elif tensor.dtype.kind in "iu":
            limits = np.iinfo(tensor.dtype)
            value = random.integers(limits.min, limits.max, tensor.shape, dtype=tensor.dtype, endpoint=True)
        else:
            value = random.uniform(-1, 1, tensor.shape).astype(tensor.dtype)
        session.set_input(value, index)
    return session


def _warm(session: Session) -> Session:
    prepare(session).invoke()
    return session
