"""How long does the device side take to import, without OpenCV? python benchmarks/device_import.py [STARTS]

In each of STARTS (40) fresh processes numpy is imported, OpenCV, then edgecnn and its view in the terminal; printed are
the medians of each part in ms and what is left without OpenCV, as JSON. Byte code and files are warm: the first start
is left out. An interpreter that only starts, in turn, says how busy the host is.
"""

import json
import subprocess
import sys
import time
from statistics import median

from edgecnn.latency import host_facts

PARTS = {
    "numpy": "numpy",
    "opencv": "cv2",
    "edgecnn": "edgecnn.cli, edgecnn.inference, edgecnn.bench, edgecnn.evaluation, edgecnn.device, edgecnn.targets",
    "terminal": "edgecnn.device.terminal",
}
PROGRAM = "import time, json\nat = [time.perf_counter()]\n" + "".join(
    f"import {modules}\nat.append(time.perf_counter())\n" for modules in PARTS.values()
)
PROGRAM += "print(json.dumps([1e3 * (b - a) for a, b in zip(at, at[1:])]))"


def started(program: str) -> tuple[float, list[float]]:
    """How long a process took in ms, and what it printed."""
    begun = time.perf_counter()
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout
    return 1e3 * (time.perf_counter() - begun), json.loads(said or "[]")


def main(starts: int = 40) -> None:
    """To stdout."""
    rounds = [(started("pass")[0], started(PROGRAM)[1]) for _ in range(starts + 1)][1:]
    parts = dict(zip(PARTS, zip(*(parts for _, parts in rounds), strict=True), strict=True))
    without = [sum(row) for row in zip(*(times for name, times in parts.items() if name != "opencv"), strict=True)]
    document = {
        "starts": starts,
        "host": host_facts(),
        "ms": {name: round(median(times), 1) for name, times in parts.items()},
        "without_opencv_ms": round(median(without), 1),
        "fastest_without_opencv_ms": round(min(without), 1),
        "bare_interpreter_ms": round(median(bare for bare, _ in rounds), 1),
    }
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
