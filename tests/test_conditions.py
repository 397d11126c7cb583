import json
from dataclasses import replace
from pathlib import Path

import pytest

from edgecnn.conditions import Snapshot, described, warnings

QUIET = Snapshot(
    ticks=(10_000, 4_000),
    own_ticks=100,
    mhz=2400,
    highest_mhz=2400,
    governor="ondemand",
    temperature_c=50.0,
    throttled=(),
    load=0.1,
)
SILENT = Snapshot(
    ticks=None, own_ticks=0, mhz=None, highest_mhz=None, governor=None, temperature_c=None, throttled=None, load=None
)


@pytest.fixture
def pi(tmp_path: Path) -> dict[str, Path]:
    """What a Pi's kernel says."""
    system, processes = tmp_path / "sys", tmp_path / "proc"
    for core, clock in enumerate((600000, 1800000)):
        (cpufreq := system / f"devices/system/cpu/cpu{core}/cpufreq").mkdir(parents=True)
        (cpufreq / "scaling_cur_freq").write_text(f"{clock}\n")
        (cpufreq / "scaling_max_freq").write_text("2400000\n")
        (cpufreq / "scaling_governor").write_text("ondemand\n")
    (zone := system / "class/thermal/thermal_zone0").mkdir(parents=True)
    (zone / "temp").write_text("54100\n")
    (firmware := system / "devices/platform/soc/soc:firmware").mkdir(parents=True)
    (firmware / "get_throttled").write_text("50000\n")
    processes.mkdir()
    (processes / "stat").write_text("cpu  100 20 30 700 50 1 2 97 40 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n")
    (processes / "loadavg").write_text("1.25 0.80 0.50 1/200 4242\n")
    return {"system": system, "processes": processes}


def test_what_the_kernel_says(pi: dict[str, Path]) -> None:
    seen = Snapshot.take(**pi)
    assert seen == Snapshot(
        ticks=(1000, 250),  # neither idle nor waiting; a guest's time is in user already
        own_ticks=seen.own_ticks,
        mhz=1800,
        highest_mhz=2400,
        governor="ondemand",
        temperature_c=54.1,
        throttled=("under-voltage earlier", "throttled earlier"),
        load=1.25,
    )


def test_a_computer_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    seen = Snapshot.take(system=tmp_path, processes=tmp_path)
    assert replace(seen, own_ticks=0) == SILENT
    document = described(SILENT, SILENT)
    assert json.loads(json.dumps(document)) == document
    assert document["others_cpu"] is None
    assert warnings(SILENT, SILENT) == []


def test_what_this_process_took_is_not_the_others(pi: dict[str, Path]) -> None:
    """Of 1000 ticks 400 were worked, and 300 of them were ours."""
    after = replace(QUIET, ticks=(11_000, 4_400), own_ticks=400)
    assert described(QUIET, after)["others_cpu"] == 0.1
    assert any("10%" in warning for warning in warnings(QUIET, after))
    assert described(QUIET, replace(after, own_ticks=500))["others_cpu"] == 0.0


def test_too_short_a_time_says_nothing_of_others() -> None:
    assert described(QUIET, replace(QUIET, ticks=(10_019, 4_019)))["others_cpu"] is None


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        ({}, {}, None),
        ({}, {"throttled": ("under-voltage",)}, "under-voltage"),
        ({}, {"throttled": ("throttled earlier",)}, "throttled"),
        ({"throttled": ("throttled earlier",)}, {"throttled": ("throttled earlier",)}, None),
        ({"throttled": ("throttled",)}, {"throttled": ("throttled",)}, "throttled"),
        ({}, {"temperature_c": 83.0}, "83 °C"),
        ({}, {"mhz": 1500}, "1500 MHz"),
        ({}, {"mhz": 2300}, None),
        ({"governor": "powersave"}, {}, "powersave"),
    ],
)
def test_what_spoils_a_figure_is_said(before: dict[str, object], after: dict[str, object], word: str | None) -> None:
    found = warnings(replace(QUIET, **before), replace(QUIET, **after))  # type: ignore[arg-type]
    assert len(found) == (word is not None)
    assert word is None or word in found[0]
