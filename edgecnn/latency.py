"""The stopwatch, the statistics of what it read, and the facts about the host they were read on."""

import ctypes
import os
import platform
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any


@dataclass(frozen=True, kw_only=True)
class LatencyStats:
    """What a series of timings says. All times in milliseconds; percentiles by linear interpolation."""

    n: int
    min_ms: float
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float

    @classmethod
    def of(cls, samples_ns: Sequence[int]) -> "LatencyStats":
        """Statistics of at least one timing, each in nanoseconds."""
        import numpy as np  # `doctor` needs the rest of this, and says that it is broken

        samples = np.asarray(samples_ns, dtype=np.float64) / 1e6
        p50, p90, p99 = (round(float(value), 4) for value in np.percentile(samples, (50, 90, 99)))
        return cls(
            n=len(samples),
            min_ms=round(float(samples.min()), 4),
            mean_ms=round(float(samples.mean()), 4),
            p50_ms=p50,
            p90_ms=p90,
            p99_ms=p99,
        )

    def as_json(self) -> dict[str, Any]:
        """The fields, for a report."""
        return asdict(self)


class Stopwatch:
    """Collects the durations of one phase: ``with stopwatch: ...``. Reads a monotonic clock, in nanoseconds."""

    def __init__(self) -> None:
        self.samples_ns: list[int] = []
        self._start = 0

    def __enter__(self) -> None:
        self._start = time.perf_counter_ns()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.samples_ns.append(time.perf_counter_ns() - self._start)

    def stats(self) -> LatencyStats | None:
        """Statistics of what was collected, None where nothing was."""
        return LatencyStats.of(self.samples_ns) if self.samples_ns else None


def default_threads() -> int:
    """Threads for one interpreter: the cores this process may use, at most 4 (more seldom help a small CNN)."""
    return min(4, available_cores())


def available_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def host_facts() -> dict[str, Any]:
    """What a latency depends on and a reader must know: board or processor, cores, system, Python."""
    return {
        "board": _first_line(Path("/proc/device-tree/model")),
        "processor": _processor(),
        "machine": platform.machine(),
        "cores": available_cores(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def rss_mb() -> float | None:
    """Resident memory of this process in MB, None where the system does not say."""
    return _status_mb("VmRSS:")


def peak_rss_mb() -> float | None:
    """The most that was resident since `forget_peak`, or since the start, in MB; None where the system does not say."""
    return _status_mb("VmHWM:")


def forget_peak() -> bool:
    """Let the high-water mark of resident memory begin anew; False where the system does not (Linux since 4.0 does)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def give_back() -> None:
    """Return free memory to the system, where the C library can (glibc), so that it is no longer resident."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _status_mb(name: str) -> float | None:
    for line in _lines(Path("/proc/self/status")):
        if line.startswith(name):
            return round(int(line.split()[1]) / 1024, 1)
    return None


def _processor() -> str:
    for line in _lines(Path("/proc/cpuinfo")):
        if line.startswith(("model name", "Model")):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _first_line(path: Path) -> str | None:
    return next((line.strip("\0 \n") for line in _lines(path)), None)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []
