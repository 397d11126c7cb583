"""Under which conditions something was timed, and what in them spoils the figure."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecnn.health import temperature, throttled

_HOT_C = 80.0  # from here on a Pi slows itself down
_OTHERS = 0.05  # of the time of all cores
_SLOWER = 0.9  # of the clock at the start
_LEAST_TICKS = 20  # 0.2 s of one core: in less, the kernel's counters say nothing


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The computer at one moment; None is what it does not say.

    Attributes:
        ticks: of all cores since the start: all, and those in which they worked.
        own_ticks: of this process.
        mhz: of the fastest core now.
        highest_mhz: that it may reach.
        governor: what chooses the clock: performance, ondemand, ...
        temperature_c: of the chip.
        throttled: what slows a Pi down, in words.
        load: programs that wanted a core, averaged over the last minute.
    """

    ticks: tuple[int, int] | None
    own_ticks: int
    mhz: int | None
    highest_mhz: int | None
    governor: str | None
    temperature_c: float | None
    throttled: tuple[str, ...] | None
    load: float | None

    @classmethod
    def take(cls, *, system: Path = Path("/sys"), processes: Path = Path("/proc")) -> "Snapshot":
        """Look now.

        Args:
            system: where ``/sys`` is.
            processes: where ``/proc`` is.
        """
        clocks = system / "devices/system/cpu"
        times = os.times()
        return cls(
            ticks=_ticks(processes / "stat"),
            own_ticks=round((times.user + times.system) * os.sysconf("SC_CLK_TCK")),
            mhz=_mhz(clocks, "scaling_cur_freq"),
            highest_mhz=_mhz(clocks, "scaling_max_freq"),
            governor=next(iter(_words(clocks / "cpu0/cpufreq/scaling_governor")), None),
            temperature_c=temperature(system),
            throttled=throttled(system),
            load=next((float(word) for word in _words(processes / "loadavg")), None),
        )


def described(before: Snapshot, after: Snapshot) -> dict[str, Any]:
    """Both moments as JSON. ``others_cpu`` is the share of all cores' time that others than this process took."""
    return {
        "governor": before.governor,
        "mhz": {"before": before.mhz, "after": after.mhz, "highest": before.highest_mhz},
        "temperature_c": {"before": before.temperature_c, "after": after.temperature_c},
        "throttled": {name: _list(each.throttled) for name, each in (("before", before), ("after", after))},
        "load": before.load,
        "others_cpu": _others(before, after),
    }


def warnings(before: Snapshot, after: Snapshot) -> list[str]:
    """What spoils what was timed between the two, in plain words."""
    found = []
    others = _others(before, after)
    if others is not None and others > _OTHERS:
        found.append(f"Other programs took {others:.0%} of the processor meanwhile: measure again when they are quiet.")
    slowed = [what for what in after.throttled or () if what not in (before.throttled or ()) or "earlier" not in what]
    if slowed:
        found.append(f"The board slowed itself down ({', '.join(slowed)}): look at its power supply and its cooling.")
    if after.temperature_c is not None and after.temperature_c >= _HOT_C:
        found.append(f"The chip is at {after.temperature_c:.0f} °C: it slows down when it is hot. Cool it.")
    if before.mhz and after.mhz and after.mhz < _SLOWER * before.mhz:
        found.append(f"The clock fell from {before.mhz} to {after.mhz} MHz: the later timings are of a slower one.")
    if before.governor == "powersave":
        found.append("The governor powersave may keep the clock low: `performance` shows what the board can do.")
    return found


def _others(before: Snapshot, after: Snapshot) -> float | None:
    if before.ticks is None or after.ticks is None:
        return None
    everything, worked = (late - early for early, late in zip(before.ticks, after.ticks, strict=True))
    if everything < _LEAST_TICKS:
        return None
    return round(min(max(worked - (after.own_ticks - before.own_ticks), 0) / everything, 1.0), 3)


def _ticks(path: Path) -> tuple[int, int] | None:
    """The line of all cores: user, nice, system, idle, iowait, irq, softirq, steal (which is other guests' work)."""
    numbers = [int(word) for word in _words(path)[1:9]]
    return (sum(numbers), sum(numbers) - sum(numbers[3:5])) if len(numbers) >= 5 else None


def _mhz(clocks: Path, name: str) -> int | None:
    found = [int(word) for path in clocks.glob(f"cpu[0-9]*/cpufreq/{name}") for word in _words(path)[:1]]
    return max(found) // 1000 if found else None  # the kernel counts in kHz


def _words(path: Path) -> list[str]:
    """Of the first line of a file; none where it cannot be read."""
    try:
        return path.read_text().partition("\n")[0].split()
    except OSError:
        return []


def _list(words: tuple[str, ...] | None) -> list[str] | None:
    return None if words is None else list(words)
