"""What `edgecnn bench` times: a file in a runtime with a number of threads; and how it starts."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from edgecnn import targets
from edgecnn.bundle import Bundle
from edgecnn.latency import forget_peak, give_back, peak_rss_mb, rss_mb
from edgecnn.targets import Session, Target, TensorInfo
from edgecnn.targets.session import Array


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What is timed: a file in a runtime with a number of threads.

    Attributes:
        path: of the file.
        bundle: what it holds.
        read_ms: how long it took to read it and to see that it is whole.
        target: the runtime.
        threads: of its interpreter.
    """

    path: Path
    bundle: Bundle
    read_ms: float
    target: Target
    threads: int

    def load(self) -> Session:
        """A session whose inputs are filled."""
        return prepare(self.target.load(self.bundle.model, threads=self.threads))


@dataclass(frozen=True, kw_only=True)
class ColdStart:
    """From nothing to the first answer, in ms. The file was read before, so it comes from the page cache.

    Attributes:
        import_ms: of the runtime's package; next to nothing where an earlier candidate needed it, too.
        read_ms: of the file, with the check that it is whole.
        load_ms: until there is an interpreter.
        allocate_ms: of its tensors.
        first_invoke_ms: the first answer.
    """

    import_ms: float
    read_ms: float
    load_ms: float
    allocate_ms: float
    first_invoke_ms: float


@dataclass(frozen=True, kw_only=True)
class Started:
    """A candidate that has answered once.

    Attributes:
        runtime: the package that runs it, and its version.
        cold: how long that took.
        memory_mb: what the model takes: by how much the most that was resident in this process until the first answer
            exceeded what was resident before, on a second load, when the runtime's own code is there already and what
            is free was given back. The bytes of the file, which this holds anyway, are not in it. None where the system
            keeps no high-water mark.
    """

    runtime: str
    cold: ColdStart
    memory_mb: float | None


def candidates(paths: Sequence[Path], *, names: Sequence[str] | None, threads: Sequence[int]) -> tuple[Candidate, ...]:
    """Every file in every runtime with every number of threads. The first is what the others are compared with.

    Args:
        paths: the files.
        names: of runtimes; None takes what a file was compiled for, else the first that is installed.
        threads: of the interpreter.

    Raises:
        UsageError: there is no such file, or no such runtime here.
        BundleError: a file is no ``.tflite``, or damaged.
    """
    for name in names or ():
        targets.choose(name)
    read = []
    for path in paths:
        start = time.perf_counter_ns()
        bundle = Bundle.read(path)
        read.append((path, bundle, _since(start)))
    return tuple(
        Candidate(
            path=path,
            bundle=bundle,
            read_ms=took,
            target=targets.choose(name or bundle.compiled_for),
            threads=count,
        )
        for (path, bundle, took), name, count in product(read, names or (None,), threads)
    )


def start(candidate: Candidate) -> Started:
    """Load a candidate and let it answer once; and once more, for its memory.

    Raises:
        BundleError, UsageError: the runtime refuses the model, or is broken.
    """
    began = time.perf_counter_ns()
    candidate.target.ready()
    import_ms = _since(began)
    session = candidate.load()
    began = time.perf_counter_ns()
    session.invoke()
    cold = ColdStart(
        import_ms=import_ms,
        read_ms=candidate.read_ms,
        load_ms=session.load_ms,
        allocate_ms=session.allocate_ms,
        first_invoke_ms=_since(began),
    )
    runtime = session.runtime
    del session
    return Started(runtime=runtime, cold=cold, memory_mb=_memory_mb(candidate))


def _memory_mb(candidate: Candidate) -> float | None:
    give_back()
    resident, forgotten = rss_mb(), forget_peak()
    candidate.load().invoke()
    peak = peak_rss_mb() if forgotten else None
    return None if peak is None or resident is None else round(max(peak - resident, 0.0), 1)


def prepare(session: Session) -> Session:
    """Fill a session's inputs with `random_values`."""
    for index, tensor in enumerate(session.inputs):
        session.set_input(random_values(tensor), index)
    return session


def random_values(tensor: TensorInfo) -> Array:
    """Values of a tensor's type, the same every time; of wide integers, which are indices, zeros."""
    random = np.random.default_rng(0)
    if tensor.dtype.kind in "iu" and tensor.dtype.itemsize > 2:
        return np.zeros(tensor.shape, tensor.dtype)  # indices, of which only the smallest are sure to exist
    if tensor.dtype.kind in "iu":
        limits = np.iinfo(tensor.dtype)
        return random.integers(limits.min, limits.max, tensor.shape, dtype=tensor.dtype, endpoint=True)
    return random.uniform(-1, 1, tensor.shape).astype(tensor.dtype)


def _since(start_ns: int) -> float:
    return (time.perf_counter_ns() - start_ns) / 1e6
