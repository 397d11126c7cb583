"""What this computer can do at most, measured: the roofs of the roofline model.

Williams, Waterman and Patterson, "Roofline: An Insightful Visual Performance Model for Multicore Architectures",
Communications of the ACM 52(4), 2009. The flat roof is what the runtime reaches in a matrix product that has all that
its kernels like: a 1x1 convolution of many channels, whose data stay in the caches. The slope is the rate of a copy
that is far larger than the last cache. A network's data often fit into the caches, so there is a second slope: a copy
that fits, too (Ilic, Pratas and Sousa, "Cache-aware Roofline model", Computer Architecture Letters 13(1), 2014).
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from edgecnn.bench.generated import MATRIX_MACS
from edgecnn.latency import available_cores
from edgecnn.targets import Session

_TIMES = 5  # at each visit
_SMALL = 1 << 18  # bytes of a copy in the caches, of which there are two: what it reads and what it writes
_LEAST, _MOST = 1 << 24, 1 << 27  # bytes of a copy beyond them
_UNKNOWN_CACHE = 1 << 20  # where the system does not say: that of a Raspberry Pi 4


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What was reached.

    Attributes:
        macs_per_s: by the type that is multiplied: int8, float32.
        memory_bytes_per_s: read and written, by copies beyond the last cache.
        cache_bytes_per_s: of copies inside it; for several threads that of one, for each core that they may have.
        cache_bytes: the size of the last cache.
    """

    macs_per_s: dict[str, float]
    memory_bytes_per_s: float
    cache_bytes_per_s: float
    cache_bytes: int


@dataclass
class Prober:
    """Measures the limits, a little at each call, so that what else the host does falls on them as on a network.

    Args:
        matrices: sessions of `matrix_model` for each type. The faster is the limit.
        threads: that copy; those of the sessions are their own.
    """

    matrices: dict[str, list[Session]]
    threads: int
    cache_bytes: int = field(default_factory=lambda: last_cache() or _UNKNOWN_CACHE)
    _seconds: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._large = _pair(min(max(4 * self.cache_bytes, _LEAST), _MOST))
        self._small = _pair(_SMALL)
        self._pool = ThreadPoolExecutor(self.threads)

    def __call__(self) -> None:
        """Measure each limit five times more, after once to warm up."""
        for kind, sessions in self.matrices.items():
            for number, session in enumerate(sessions):
                self._time(f"{kind} {number}", session.invoke)
        self._time("memory", self._copy_large)
        self._time("cache", lambda: np.copyto(*self._small))

    def limits(self) -> Limits:
        """By the best visit so far, of which the median counts: others at work lower a rate, but no limit."""
        seconds = {kind: min(times) for kind, times in self._seconds.items()}
        return Limits(
            macs_per_s={
                kind: MATRIX_MACS / min(seconds[f"{kind} {number}"] for number in range(len(sessions)))
                for kind, sessions in self.matrices.items()
            },
            memory_bytes_per_s=2 * self._large[0].nbytes / seconds["memory"],
            cache_bytes_per_s=min(self.threads, available_cores()) * 2 * self._small[0].nbytes / seconds["cache"],
            cache_bytes=self.cache_bytes,
        )

    def _time(self, kind: str, work: Callable[[], object]) -> None:
        work()
        marks = [time.perf_counter()]
        for _ in range(_TIMES):
            work()
            marks.append(time.perf_counter())
        self._seconds.setdefault(kind, []).append(median(np.diff(marks).tolist()))

    def _copy_large(self) -> None:
        """Each thread copies its part; NumPy lets go of the interpreter's lock meanwhile."""
        parts = zip(*(np.array_split(each, self.threads) for each in self._large), strict=True)
        list(self._pool.map(lambda part: np.copyto(*part), parts))


def last_cache(system: Path = Path("/sys")) -> int | None:
    """Bytes of the largest cache of the first core; None where the system does not say."""
    found = []
    for path in system.glob("devices/system/cpu/cpu0/cache/index*/size"):
        text = path.read_text().strip()  # such as 32768K
        number = text.rstrip("KM")
        if number.isdecimal():
            found.append(int(number) * {"K": 1 << 10, "M": 1 << 20}.get(text[len(number) :], 1))
    return max(found, default=None)


def _pair(size: int) -> tuple[Any, Any]:
    """Where a copy goes, and what it copies; both are written to, so that the system has given their memory."""
    return np.ones(size, np.uint8), np.full(size, 2, np.uint8)
