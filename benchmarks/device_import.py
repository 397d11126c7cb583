"""How long does the device side take to import, without OpenCV? python benchmarks/device_import.py [STARTS]

In each of STARTS (40) fresh processes numpy is imported, OpenCV, then edgecnn and its view in the terminal; printed are
the medians of each part in ms, and what is left without OpenCV, as JSON. Byte code and files are warm: the first start
is left out. Where the CPU time is far below the time, the host was busy.
"""

import json
import subprocess
import sys

import numpy as np

from edgecnn.latency import host_facts

PARTS = {
    "numpy": "numpy",
    "opencv": "cv2",
    "edgecnn": "edgecnn.cli, edgecnn.inference, edgecnn.bench, edgecnn.evaluation, edgecnn.device, edgecnn.targets",
    "terminal": "edgecnn.device.terminal",
}
NOW = "at.append((time.perf_counter(), time.process_time()))\n"
PROGRAM = f"import json, time\nat = []\n{NOW}" + "".join(f"import {modules}\n{NOW}" for modules in PARTS.values())
PROGRAM += "print(json.dumps([[1e3 * (b - a) for a, b in zip(*pair)] for pair in zip(at, at[1:])]))"


def parts(program: str) -> list[list[float]]:
    """What a fresh process prints: for each part its time and its CPU time in ms."""
    return json.loads(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout)


def main(starts: int = 40) -> None:
    """To stdout."""
    times = np.array([parts(PROGRAM) for _ in range(starts + 1)][1:])  # start, part, clock
    without = np.delete(times, list(PARTS).index("opencv"), axis=1).sum(axis=1)
    document = {
        "starts": starts,
        "host": host_facts(),
        "parts_ms": dict(zip(PARTS, np.median(times[..., 0], axis=0).round(1).tolist(), strict=True)),
        "without_opencv_ms": round(float(np.median(without[:, 0])), 1),
        "without_opencv_fastest_ms": round(float(without[:, 0].min()), 1),
        "without_opencv_cpu_ms": round(float(np.median(without[:, 1])), 1),
    }
    sys.stdout.write(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
