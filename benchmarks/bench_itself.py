"""Does `edgecnn bench` agree with itself, and what does its own measuring cost?

    python benchmarks/bench_itself.py MODEL [REPEATS]

Agreement: in each repeat MODEL is loaded twice and timed in turn, 200 invokes each, as `edgecnn bench MODEL MODEL`
does; counted is how often the 95 % interval of the ratio of medians covers 1, with the blocks of `edgecnn.bootstrap`
and, for comparison, drawing pair by pair.

Overhead: chunks of 200 invokes, in turn in the loop of `edgecnn.timing` and in a bare loop of the interpreter's C code
(a deque that consumes invokes); the ratio of the medians over chunks, with its interval: of the wall time of a chunk,
and of the mean of what the loop itself read.
"""

import json
import sys
import time
from collections import deque
from itertools import repeat, starmap
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from edgecnn import Bundle, bootstrap, targets, timing
from edgecnn.bench import prepare
from edgecnn.conditions import Snapshot, described
from edgecnn.latency import host_facts
from edgecnn.targets import Session
from edgecnn.timing import timed

RUNS, CHUNKS = 200, 60


def agreement(bundle: Bundle, repeats: int) -> dict[str, Any]:
    """How often the interval covers 1, and how wide it is."""
    blocks, single, values = [], [], []
    for _ in range(repeats):
        sessions = [prepare(targets.choose().load(bundle.model, threads=1)) for _ in range(2)]
        first, again = timed(sessions, runs=RUNS).samples_ns / 1e6
        value, interval = bootstrap.ratio(first, again)
        with mock.patch.object(bootstrap, "block_length", return_value=1):
            blocks.append(interval)
            single.append(bootstrap.ratio(first, again)[1])
        values.append(value)
    widths = [high - low for low, high in blocks]  # type: ignore[misc]
    return {
        "repeats": repeats,
        "covered": covering(blocks),
        "covered_pair_by_pair": covering(single),
        "ratio": [min(values), round(float(np.median(values)), 4), max(values)],
        "median_width": round(float(np.median(widths)), 4),
    }


def covering(intervals: list[Any]) -> int:
    """Of these intervals, those that cover 1."""
    return sum(low <= 1 <= high for low, high in intervals)


def overhead(session: Session) -> dict[str, Any]:
    """What our loop adds to a bare one."""
    turns: list[Any] = [(session.invoke, [])]
    bare, ours, read = [], [], []
    for chunk in range(CHUNKS + 5):
        turns[0][1].clear()
        start = time.perf_counter_ns()
        deque(starmap(session.invoke, repeat((), RUNS)), maxlen=0)
        between = time.perf_counter_ns()
        for _ in range(RUNS):
            timing._round(turns, timing._at_once)
        end = time.perf_counter_ns()
        if chunk >= 5:  # the first ones are its warm-up
            bare.append((between - start) / RUNS / 1e6)
            ours.append((end - between) / RUNS / 1e6)
            read.append(sum(turns[0][1]) / RUNS / 1e6)
    figures = {"invoke_ms": round(float(np.median(bare)), 4)}
    for name, series in (("wall", ours), ("read", read)):
        figures[name] = bootstrap.ratio(np.array(bare), np.array(series))  # type: ignore[assignment]
    return figures


if __name__ == "__main__":
    model = Bundle.read(Path(sys.argv[1]))
    before = Snapshot.take()
    cost = overhead(prepare(targets.choose().load(model.model, threads=1)))
    agreed = agreement(model, int(sys.argv[2]) if len(sys.argv) > 2 else 40)
    conditions = described(before, Snapshot.take())
    print(json.dumps({"overhead": cost, "agreement": agreed, "host": host_facts(), "conditions": conditions}, indent=1))
