import os
from pathlib import Path

import pytest

from edgecnn.health import Health, described


def system(root: Path, temperature: str = "54100\n", throttled: str | None = "0\n") -> Path:
    (root / "class/thermal/thermal_zone0").mkdir(parents=True)
    (root / "class/thermal/thermal_zone0/temp").write_text(temperature)
    if throttled is not None:
        (firmware := root / "devices/platform/soc/soc:firmware").mkdir(parents=True)
        (firmware / "get_throttled").write_text(throttled)
    return root


@pytest.fixture
def no_firmware_tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "no-such-folder"))


@pytest.mark.usefixtures("no_firmware_tool")
@pytest.mark.parametrize(
    ("temperature", "throttled", "expected"),
    [
        ("54100\n", "0\n", (54.1, ())),
        ("85000\n", "50005\n", (85.0, ("under-voltage", "throttled"))),
        ("54100\n", None, (54.1, None)),
        ("no number\n", "no number\n", (None, None)),
    ],
)
def test_what_the_kernel_says(
    tmp_path: Path, temperature: str, throttled: str | None, expected: tuple[float | None, tuple[str, ...] | None]
) -> None:
    assert Health(root=system(tmp_path, temperature, throttled)).read() == expected


@pytest.mark.usefixtures("no_firmware_tool")
def test_a_computer_that_says_nothing(tmp_path: Path) -> None:
    assert Health(root=tmp_path).read() == (None, None)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo throttled=0x50000", ("under-voltage earlier", "throttled earlier")),
        ("echo throttled=0x0", ()),
        ("exit 1", None),
        ("echo VCHI initialization failed", None),
    ],
)
def test_the_firmware_s_tool_where_the_kernel_does_not_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, expected: tuple[str, ...] | None
) -> None:
    tool = tmp_path / "bin" / "vcgencmd"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\n[ "$1" = get_throttled ] && {script}\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    assert Health(root=tmp_path).read() == (None, expected)


def test_the_bits() -> None:
    assert described(0xF000F) == ("under-voltage", "frequency capped", "throttled", "soft temperature limit")
    assert described(0x80000) == ("soft temperature limit earlier",)


def test_it_asks_seldom(tmp_path: Path) -> None:
    health = Health(root=system(tmp_path))
    assert health.read()[0] == 54.1
    system_temperature = tmp_path / "class/thermal/thermal_zone0/temp"
    system_temperature.write_text("60000\n")
    assert health.read()[0] == 54.1
    assert Health(root=tmp_path).read()[0] == 60.0
