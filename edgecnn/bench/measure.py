"""`edgecnn bench`: how long one invoke takes on this machine, of files, runtimes and numbers of threads in turn."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from edgecnn import conditions
from edgecnn.bench import bootstrap
from edgecnn.bench.candidates import Candidate, Started, start
from edgecnn.bench.timing import Timings, timed
from edgecnn.conditions import Snapshot
from edgecnn.latency import LatencyStats, available_cores, host_facts, rss_mb
from edgecnn.targets import Session

_WIDE = 0.1  # of the median: an interval that nobody should conclude from


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What was measured of candidates, in their order; `paced` where a rate was asked for."""

    candidates: tuple[Candidate, ...]
    started: tuple[Started, ...]
    tight: Timings
    paced: Timings | None
    rate: float | None
    before: Snapshot
    after: Snapshot

    def as_json(self) -> dict[str, Any]:
        """``runs`` has an entry a candidate. The cold start and the runtime at the top are the first one's."""
        rows = [self._row(place, name) for place, name in enumerate(names(self))]
        return {
            "runtime": rows[0]["runtime"],
            "runs": rows,
            "cold_start_ms": round(sum(asdict(self.started[0].cold).values()) - self.started[0].cold.read_ms, 3),
            "rss_mb": rss_mb(),
            "host": host_facts(),
            "conditions": conditions.described(self.before, self.after),
            "warnings": [*conditions.warnings(self.before, self.after), *_doubts(self, rows)],
        }

    def _row(self, place: int, name: str) -> dict[str, Any]:
        candidate, started = self.candidates[place], self.started[place]
        return {
            "threads": candidate.threads,
            **_figures(self.tight, place),
            "name": name,
            "model": str(candidate.path),
            "runtime": started.runtime,
            "cold_start": {phase: round(took, 3) for phase, took in asdict(started.cold).items()},
            "memory_mb": started.memory_mb,
            "paced": None if self.paced is None else {"rate": self.rate, **_figures(self.paced, place)},
        }


def bench(
    candidates: Sequence[Candidate],
    *,
    runs: int,
    rate: float | None = None,
    on_run: Callable[[int, int], None] = lambda done, total: None,
) -> Bench:
    """Start every candidate once, then time them in turn; their inputs are filled with random values.

    Args:
        candidates: at least one.
        runs: timed invokes of each in each loop.
        rate: invokes a second, of all together, in a second loop that sleeps between them; None leaves it out.
        on_run: told the rounds done and the rounds in all, of each loop.
    """
    started = tuple(start(candidate) for candidate in candidates)
    loaders = [each.load for each in candidates]
    before = Snapshot.take()
    tight = timed(loaders, runs=runs, on_run=on_run)
    clock = Snapshot.take().mhz  # of the tight loop: at a pace it falls, which is what that loop is for
    paced = timed(loaders, runs=runs, rate=rate, on_run=on_run) if rate else None
    return Bench(
        candidates=tuple(candidates),
        started=started,
        tight=tight,
        paced=paced,
        rate=rate,
        before=before,
        after=replace(Snapshot.take(), mhz=clock),
    )


def interleaved(
    sessions: Sequence[Session], *, runs: int, on_run: Callable[[int, int], None] = lambda done, total: None
) -> list[LatencyStats]:
    """The statistics of sessions that are timed in turn in a tight loop, one a session.

    Args:
        sessions: ready, with their inputs filled.
        runs: timed invokes of each, after the warm-up.
        on_run: told the invokes done and those in all.
    """
    loaders = [partial(_itself, session) for session in sessions]
    timings = timed(loaders, runs=runs, loads=1, on_run=on_run)
    return [LatencyStats.of(samples.ravel().tolist()) for samples in timings.samples_ns]


def names(bench: Bench) -> list[str]:
    """What tells each candidate from the others, shortly: its file and its runtime where they differ, its threads."""
    paths = {each.path for each in bench.candidates}
    short = len({path.name for path in paths}) == len(paths)
    runtimes = [each.runtime for each in bench.started]
    found = []
    for candidate, runtime in zip(bench.candidates, runtimes, strict=True):
        file = [candidate.path.name if short else str(candidate.path)] if len(paths) > 1 else []
        package = [runtime] if len(set(runtimes)) > 1 else []
        found.append(", ".join([*file, *package, f"{candidate.threads} thread{'s' * (candidate.threads > 1)}"]))
    return found


def _figures(timings: Timings, place: int) -> dict[str, Any]:
    """The statistics of one candidate, how well they are known, and how its median compares with the first one's."""
    first, own = timings.samples_ns[0] / 1e6, timings.samples_ns[place] / 1e6
    value, interval = bootstrap.ratio(first, own) if place else (1.0, None)
    return {
        **LatencyStats.of(timings.samples_ns[place].ravel().tolist()).as_json(),
        "loads": timings.samples_ns.shape[1],
        "intervals": bootstrap.intervals(own),
        "ratio": value,
        "ratio_interval": interval,
        "warm_up": {"discarded": timings.discarded, "settled": timings.settled},
        "late": timings.late,
    }


def _doubts(bench: Bench, rows: Sequence[dict[str, Any]]) -> list[str]:
    """What in the timings themselves says that they are not to be trusted."""
    found = []
    for kind, loop in (("of the tight loop", bench.tight), ("at a pace", bench.paced)):
        if loop and not loop.settled:
            found.append(f"The times {kind} never settled: something else was going on.")
    wide = [row["name"] for row in rows if row["intervals"] and _width(row) > _WIDE]
    if wide:
        found.append(f"The median is known badly ({'; '.join(wide)}): ask for more --runs, on a quieter machine.")
    if (most := max(each.threads for each in bench.candidates)) > available_cores():
        found.append(f"There are {most} threads and {available_cores()} cores: they wait for each other.")
    if bench.paced and bench.paced.late * 10 > bench.paced.samples_ns.size:
        found.append(f"{bench.rate:g} invokes a second are more than this machine does: the pace was not kept.")
    return found


def _itself(session: Session) -> Session:
    return session


def _width(row: dict[str, Any]) -> float:
    low, high = row["intervals"]["p50_ms"]
    return float((high - low) / row["p50_ms"])
