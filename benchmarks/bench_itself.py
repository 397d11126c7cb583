"""Does `edgecnn bench` agree with itself, and what does its own measuring cost?

    python benchmarks/bench_itself.py MODEL [REPEATS]

Agreement: in each repeat MODEL is timed against itself in turn, 200 invokes each over 10 loads, as `edgecnn bench MODEL
MODEL` does; counted is how often the 95 % interval of the ratio of medians covers 1. For comparison it is counted how
often it would with one load of each and blocks of 20 timings, as if where a model lies in memory did not matter.

Overhead: 2000 chunks of 10 invokes, short so that few are interrupted, in turn in the loop of `edgecnn.bench.timing`
and in a bare loop of the interpreter's C code (a deque that consumes invokes); the ratio of the medians over chunks,
with its interval: of the wall time of a chunk, and of the mean of what the loop itself read.
"""

import json
import sys
import time
from collections import deque
from itertools import repeat, starmap
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn import Bundle, targets
from edgecnn.bench import bootstrap, prepare, timing
from edgecnn.bench.timing import timed
from edgecnn.conditions import Snapshot, described
from edgecnn.latency import host_facts
from edgecnn.targets import Session

RUNS, CHUNK, CHUNKS = 200, 10, 2000


def agreement(bundle: Bundle, repeats: int) -> dict[str, Any]:
    """How often the interval covers 1, and how wide it is."""
    loaders = [lambda: prepare(targets.choose().load(bundle.model, threads=1))] * 2
    figures: dict[str, Any] = {"repeats": repeats}
    for name, loads in (("ten_loads", 10), ("one_load", 1)):
        found = [bootstrap.ratio(*_pair(loaders, loads)) for _ in range(repeats)]
        values, intervals = zip(*found, strict=True)
        widths = [high - low for low, high in intervals]
        figures[name] = {
            "covered": sum(low <= 1 <= high for low, high in intervals),
            "ratios": [min(values), round(float(np.median(values)), 4), max(values)],
            "median_width": round(float(np.median(widths)), 4),
        }
    return figures


def _pair(loaders: Any, loads: int) -> Any:
    first, again = timed(loaders, runs=RUNS, loads=loads).samples_ns.reshape(2, 10, -1) / 1e6
    return first, again


def overhead(session: Session) -> dict[str, Any]:
    """What our loop adds to a bare one."""
    turns: list[Any] = [(session.invoke, [])]
    bare, ours, read = [], [], []
    for chunk in range(CHUNKS + 50):
        start = time.perf_counter_ns()
        deque(starmap(session.invoke, repeat((), CHUNK)), maxlen=0)
        between = time.perf_counter_ns()
        timing._rounds(turns, CHUNK, None)
        end = time.perf_counter_ns()
        if chunk >= 50:  # the first ones are its warm-up
            bare.append((between - start) / CHUNK / 1e6)
            ours.append((end - between) / CHUNK / 1e6)
            read.append(sum(turns[0][1][-CHUNK:]) / CHUNK / 1e6)
    figures: dict[str, Any] = {"invoke_ms": round(float(np.median(bare)), 4)}
    for name, series in (("wall", ours), ("read", read)):
        figures[name] = bootstrap.ratio(np.reshape(bare, (10, -1)), np.reshape(series, (10, -1)))
    return figures


if __name__ == "__main__":
    model = Bundle.read(Path(sys.argv[1]))
    before = Snapshot.take()
    cost = overhead(prepare(targets.choose().load(model.model, threads=1)))
    agreed = agreement(model, int(sys.argv[2]) if len(sys.argv) > 2 else 40)
    conditions = described(before, Snapshot.take())
    print(json.dumps({"overhead": cost, "agreement": agreed, "host": host_facts(), "conditions": conditions}, indent=1))
