"""How the computer itself is: its temperature, and whether a Raspberry Pi slows itself down."""

import shutil
import subprocess
import time
from pathlib import Path

# Bits of the firmware's answer; 16 bits above stands whether it was so at any time since the start.
# https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
_BITS = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}
_SINCE_START = 16


class Health:
    """Asks at most every ``every_s`` seconds, for files are read and a program may be started.

    Args:
        root: where ``/sys`` is.
    """

    def __init__(self, *, every_s: float = 5.0, root: Path = Path("/sys")) -> None:
        self._every_s, self._root = every_s, root
        self._due = 0.0
        self._last: tuple[float | None, tuple[str, ...] | None] = None, None

    def read(self) -> tuple[float | None, tuple[str, ...] | None]:
        """The temperature in degrees Celsius, and what slows a Pi down; each None where the computer does not say."""
        if time.monotonic() >= self._due:
            self._last = temperature(self._root), throttled(self._root)
            self._due = time.monotonic() + self._every_s
        return self._last


def described(bits: int) -> tuple[str, ...]:
    """The firmware's bits in words."""
    now = tuple(name for bit, name in _BITS.items() if bits >> bit & 1)
    before = (name for bit, name in _BITS.items() if bits >> bit + _SINCE_START & 1)
    return now + tuple(f"{name} earlier" for name in before if name not in now)


def temperature(root: Path = Path("/sys")) -> float | None:
    """Of the first thermal zone, which is a Pi's chip, in degrees Celsius; None where the computer does not say."""
    try:
        return int((root / "class/thermal/thermal_zone0/temp").read_text()) / 1000
    except (OSError, ValueError):
        return None


def throttled(root: Path = Path("/sys")) -> tuple[str, ...] | None:
    """What slows a Pi down, now or earlier since its start, in words; None where the computer does not say."""
    try:
        for path in root.glob("devices/platform/soc*/*/get_throttled"):
            return described(int(path.read_text(), 16))
        if shutil.which("vcgencmd"):
            command = ["vcgencmd", "get_throttled"]  # answers throttled=0x50000
            said = subprocess.run(command, capture_output=True, text=True, timeout=1, check=True).stdout
            return described(int(said.partition("=")[2], 16))
    except (OSError, ValueError, subprocess.SubprocessError):
        pass
    return None
