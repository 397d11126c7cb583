"""Times every operator of a network, for the interpreter's own profiler is out of Python's reach.

LiteRT 2.3 keeps it to programs in C++, and so does tflite-runtime. So this is an estimate, and says so: every operator
is cut out as a model of its own, and timed in turn with all others and with the whole network. Just before its turn its
inputs are written and its outputs read, for in the network they are in the caches, too; its weights are as cold as a
round has made them; and what an invoke takes that has nothing to do is subtracted. How near the sum comes to the whole
is measured with it. (Differences of networks that end sooner and sooner would be those of two large and noisy numbers.)
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecnn import conditions
from edgecnn.bench import bootstrap
from edgecnn.bench.bootstrap import Series
from edgecnn.bench.candidates import Candidate, prepare, random_values
from edgecnn.bench.generated import MATRICES, alone, empty_model, matrix_model
from edgecnn.bench.layers import Layers
from edgecnn.bench.limits import Limits, Prober
from edgecnn.bench.timing import loads_of, warm_up
from edgecnn.conditions import Snapshot
from edgecnn.errors import BundleError
from edgecnn.operators import Operator, operators
from edgecnn.targets import Session


@dataclass(frozen=True)
class _Turn:
    """A model that is loaded, and what its inputs are filled with before each invoke."""

    session: Session
    values: list[Any]

    @classmethod
    def of(cls, session: Session) -> "_Turn":
        return cls(session, [random_values(tensor) for tensor in session.inputs])

    def __call__(self) -> int:
        """Invoke it, and say how long that took in ns. What it writes to is touched before, as what it reads."""
        for index in range(len(self.session.outputs)):
            self.session.output(index)
        for index, value in enumerate(self.values):
            self.session.set_input(value, index)
        start = time.perf_counter_ns()
        self.session.invoke()
        return time.perf_counter_ns() - start


def time_operators(
    candidate: Candidate, *, runs: int, on_run: Callable[[int, int], None] = lambda done, total: None
) -> Layers:
    """Time every operator of a network, the network itself, and what this computer can do, in turn.

    Args:
        candidate: a file in a runtime with a number of threads.
        runs: timed invokes of each, rounded up to a multiple of the loads.
        on_run: told the rounds done and the rounds in all.

    Raises:
        BundleError: the runtime refuses the network.
    """
    found = operators(candidate.bundle.model)
    models = _that_load(candidate, alone(candidate.bundle.model, range(len(found))))
    kinds = sorted({each.compute_type for each in found if each.macs}) or ["int8"]
    matrices = {kind: [prepare(_load(candidate, matrix_model(kind, *shape))) for shape in MATRICES] for kind in kinds}
    prober = Prober(matrices, candidate.threads)
    loads = loads_of(runs)
    each = -(-runs // loads)
    before = Snapshot.take()
    samples = np.empty((len(models) + 2, loads, each), np.float64)
    for load in range(loads):
        prober()
        samples[:, load] = _one_load([candidate.bundle.model, *models.values(), empty_model()], candidate, each)
        on_run(each * (load + 1), each * loads)
    warnings = tuple(conditions.warnings(before, Snapshot.take()))
    return _layers(found, list(models), samples / 1e6, prober.limits(), warnings)


def _layers(
    found: Sequence[Operator], indices: Sequence[int], samples: Series, limits: Limits, warnings: tuple[str, ...]
) -> Layers:
    """What timings (the whole, each of the indices, the empty one; loads, n) in ms say."""
    whole, empty = samples[0], float(np.median(samples[-1]))
    own = np.maximum(samples[1:-1] - empty, 0.0)
    medians = dict(zip(indices, np.median(own, axis=(1, 2)).tolist(), strict=True))
    return Layers(
        operators=tuple(found),
        times_ms=tuple(medians.get(each.index) for each in found),
        whole_ms=float(np.median(whole)),
        empty_ms=empty,
        sum_ratio=bootstrap.ratio(whole, own.sum(axis=0) + empty),
        limits=limits,
        runs=whole.size,
        warnings=warnings,
    )


def _one_load(models: Sequence[bytes], candidate: Candidate, runs: int) -> Series:
    """Timings (models, runs) in ns of models that are loaded now, in turn, after a warm-up."""
    turns = [_Turn.of(_load(candidate, model)) for model in models]

    def once() -> list[int]:
        whole, *others = (turn() for turn in turns)
        return [whole, sum(others)]

    warm_up(once)
    return np.array([[turn() for turn in turns] for _ in range(runs)], np.float64).T


def _that_load(candidate: Candidate, models: Sequence[bytes]) -> dict[int, bytes]:
    """Those of the models that the runtime takes, by their index."""
    taken = {}
    for index, model in enumerate(models):
        try:
            prepare(_load(candidate, model)).invoke()
        except (BundleError, ValueError, RuntimeError):  # control flow, variables, strings
            continue
        taken[index] = model
    return taken


def _load(candidate: Candidate, model: bytes) -> Session:
    return candidate.target.load(model, threads=candidate.threads)
