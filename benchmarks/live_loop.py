"""What the live loop gets out of a model: python benchmarks/live_loop.py MODEL [MODEL...] [--minutes M] [--soak M]

The source is 640x480 pictures of the synthetic scene, of which each is decoded from a JPEG, as those of a USB camera
are. In one run, interleaved, with medians over repeats; the interpreter has one thread:

- *bare*: `invoke` alone, and capture + preprocess alone. A loop reaches 1 / max(the two) at best.
- *loop*: every frame in turn, as fast as it goes; *viewers*: the same with five viewers of the page, which is a process
  of its own each.
- *live*: a camera of 30 frames a second: the age at which a result is shown, p90.
- *blocking*: the loop of OpenCV's tutorials, decode, resize, invoke, one after the other.

Of the first model also the time from the start of ``edgecnn demo`` to its first answer. ``--minutes M`` has a camera
twice as fast as that model for M minutes: the age at p90 and the drops, minute by minute. ``--soak M`` runs ``edgecnn
demo`` with its page, a viewer and 30 frames a second for M minutes: its resident memory and the age on the page.
``--plot FILE.png`` draws both (the extra `benchmarks`). Ends in one JSON line on stdout.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecnn import Bundle, Classifier
from edgecnn.device import Answer, Camera, Frame, Run, View, run
from edgecnn.device.views import NoView
from edgecnn.device.web.view import WebView
from edgecnn.latency import host_facts
from edgecnn.shapes import Scene

SIZE, PICTURES, FPS = (480, 640), 120, 30
REPEATS, SECONDS, VIEWERS = 7, 3.0, 5

Jpegs = list[NDArray[np.uint8]]


class JpegCamera(Camera):
    """Decodes one of some JPEGs for each frame: a live camera of ``rate`` frames a second, or each as it is taken."""

    name = "jpeg"

    def __init__(self, jpegs: Jpegs, rate: float | None = None) -> None:
        self.left_out: list[str] = []
        self.live = rate is not None
        self._jpegs, self._rate = jpegs, rate
        self._number, self._start = 0, time.perf_counter()

    def read(self) -> Frame:
        """The next picture, when it is due."""
        if self._rate:
            time.sleep(max(0.0, self._start + self._number / self._rate - time.perf_counter()))
        start = time.perf_counter_ns()
        image = decoded(self._jpegs[self._number % len(self._jpegs)])
        now, number = time.perf_counter_ns(), self._number
        self._number += 1
        return Frame(number=number, image=image, captured_ns=start, capture_ns=now - start, at_s=start / 1e9)

    def close(self) -> None:
        """Nothing is held."""


class Until(NoView):
    """Lets another view show, and ends the run after so many seconds. Keeps second, age in ms and drops of what came.

    Args:
        seconds: after which it ends.
        view: inside its ``with``.
    """

    def __init__(self, seconds: float, view: View | None = None) -> None:
        self.shown: list[tuple[float, float, int]] = []
        self._seconds, self._view = seconds, view or NoView()

    def begin(self, run: Run) -> None:
        """See `View`."""
        self._controls, self._start = run.controls, time.perf_counter()
        self._view.begin(run)

    def show(self, answer: Answer) -> None:
        """See `View`."""
        self._view.show(answer)
        now = time.perf_counter()
        second = now - self._start
        self.shown.append((second, now * 1e3 - answer.frame.captured_ns / 1e6, answer.dropped))
        self._controls.stop |= second > self._seconds

    def ages(self) -> NDArray[np.float64]:
        """(n, 3): second, age in ms, drops."""
        return np.array(self.shown)


def main() -> None:
    """Run, print a table to stderr and JSON to stdout."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--soak", type=float, default=0)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    jpegs = pictures()
    document: dict[str, Any] = {"schema": 1, "host": host_facts(), "models": {}}
    for path in arguments.models:
        with Classifier(Bundle.read(path), threads=1) as classifier:
            document["models"][path.name] = figures = compare(classifier, jpegs)
            say(path.name, **figures)
    first = arguments.models[0]
    document["first_answer_s"] = round(statistics.median(first_answer(first) for _ in range(REPEATS)), 2)
    say("start to first answer, s", **{first.name: document["first_answer_s"]})
    if arguments.minutes:
        with Classifier(Bundle.read(first), threads=1) as classifier:
            document["too_fast"] = too_fast(classifier, jpegs, arguments.minutes)
    if arguments.soak:
        document["soak"] = soak(first, arguments.soak)
    if arguments.plot:
        plot(document, arguments.plot)
    print(json.dumps(document))


def compare(classifier: Classifier, jpegs: Jpegs) -> dict[str, float]:
    """The figures of a model: medians over the repeats, ratios of what ran next to each other."""
    rows = []
    for _ in range(REPEATS):
        invoke_ms, capture_ms = bare(classifier, jpegs)
        loop_fps, loop_cpu_ms = loop(classifier, jpegs, SECONDS)
        with WebView("127.0.0.1:0") as page, viewers(page.url, VIEWERS):
            watched_fps, _ = loop(classifier, jpegs, SECONDS, page)
        blocking_fps, blocking_cpu_ms = blocking(classifier, jpegs, SECONDS)
        again_invoke_ms, again_capture_ms = bare(classifier, jpegs)
        invoke_ms, capture_ms = (invoke_ms + again_invoke_ms) / 2, (capture_ms + again_capture_ms) / 2
        until = Until(SECONDS)
        run(JpegCamera(jpegs, FPS), classifier, view=until)
        rows.append(
            {
                "invoke_ms": invoke_ms,
                "capture_preprocess_ms": capture_ms,
                "loop_fps": loop_fps,
                "loop_share": loop_fps * max(invoke_ms, capture_ms) / 1e3,
                "watched_share": watched_fps / loop_fps,
                "blocking_fps": blocking_fps,
                "over_blocking": loop_fps / blocking_fps,
                "loop_cpu_ms": loop_cpu_ms,
                "blocking_cpu_ms": blocking_cpu_ms,
                "age_p90_ms": float(np.percentile(until.ages()[:, 1], 90)),
                "age_limit_ms": invoke_ms + 1e3 / FPS + 15,
            }
        )
    return {name: round(statistics.median(row[name] for row in rows), 4) for name in rows[0]}


def decoded(jpeg: NDArray[np.uint8]) -> Any:
    """RGB, (480, 640, 3), uint8."""
    return cv2.cvtColor(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def pictures() -> Jpegs:
    """JPEGs of the synthetic scene at 640x480."""
    scene = Scene(seed=0)
    images = [cv2.resize(scene.frame(number)[0], SIZE[::-1]) for number in range(PICTURES)]
    return [cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1] for image in images]


def bare(classifier: Classifier, jpegs: Jpegs) -> tuple[float, float]:
    """Medians in ms of `invoke` alone, and of capture + preprocess alone."""
    tensor, turn = classifier.preprocess(decoded(jpegs[0])), iter(range(10**9))

    def capture() -> None:
        classifier.preprocess(decoded(jpegs[next(turn) % len(jpegs)]))

    return timed(lambda: classifier.invoke(tensor)), timed(capture)


def timed(work: Callable[[], object]) -> float:
    """The median of one call, ms."""
    times, end = [], time.perf_counter() + SECONDS / 4
    while time.perf_counter() < end:
        start = time.perf_counter_ns()
        work()
        times.append((time.perf_counter_ns() - start) / 1e6)
    return statistics.median(times)


def blocking(classifier: Classifier, jpegs: Jpegs, seconds: float) -> tuple[float, float]:
    """The loop of the tutorials: frames a second, CPU ms a frame."""
    frames, start, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() < start + seconds:
        classifier(decoded(jpegs[frames % len(jpegs)]))
        frames += 1
    return frames / (time.perf_counter() - start), (time.process_time() - cpu) * 1e3 / frames


def loop(classifier: Classifier, jpegs: Jpegs, seconds: float, view: View | None = None) -> tuple[float, float]:
    """Our loop on every frame: frames a second, CPU ms a frame."""
    cpu = time.process_time()
    summary = run(JpegCamera(jpegs), classifier, view=Until(seconds, view))
    return summary.fps or 0.0, (time.process_time() - cpu) * 1e3 / max(1, summary.frames)


class viewers:
    """So many processes that read the page's picture as fast as it comes, inside a ``with``."""

    def __init__(self, url: str, count: int) -> None:
        self._command = [sys.executable, "-c", _VIEWER, f"{url}live.mjpeg"]
        self._count = count

    def __enter__(self) -> None:
        self._processes = [subprocess.Popen(self._command) for _ in range(self._count)]
        time.sleep(1)

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait()


_VIEWER = """
import sys, time, urllib.request
while True:
    try:
        with urllib.request.urlopen(sys.argv[1]) as stream:
            while stream.read(65536):
                pass
    except OSError:
        time.sleep(0.1)
"""


def too_fast(classifier: Classifier, jpegs: Jpegs, minutes: float) -> dict[str, Any]:
    """Age and drops of a camera twice as fast as the model, minute by minute."""
    rate = 2e3 / max(bare(classifier, jpegs))
    until = Until(60 * minutes)
    run(JpegCamera(jpegs, rate), classifier, view=until)
    found = until.ages()
    by_minute = [found[found[:, 0] // 60 == minute] for minute in range(int(minutes))]
    return {
        "rate": round(rate, 1),
        "age_p90_ms": [round(float(np.percentile(rows[:, 1], 90)), 2) for rows in by_minute],
        "dropped": [int(rows[-1, 2]) for rows in by_minute],
    }


def soak(model: Path, minutes: float) -> dict[str, Any]:
    """``edgecnn demo`` itself, with its page and a viewer: resident memory and age, minute by minute."""
    command = [sys.executable, "-m", "edgecnn", "demo", str(model), "--camera", "synthetic", "--rate", str(FPS)]
    demo = subprocess.Popen([*command, "--listen", "127.0.0.1:0"], stderr=subprocess.PIPE, text=True)
    assert demo.stderr is not None
    url = next(line.split()[-1] for line in demo.stderr if "http://" in line)
    rss: list[float] = []
    ages: list[float] = []
    with viewers(url, 1), urllib.request.urlopen(f"{url}numbers") as numbers:
        end_of_minute, seen = time.perf_counter() + 60, []
        while len(rss) < minutes:
            line = numbers.readline()
            if line.startswith(b"data:") and (age := json.loads(line[5:]).get("age_ms")) is not None:
                seen.append(age)
            if time.perf_counter() >= end_of_minute:
                rss.append(resident_mb(demo.pid))
                ages.append(round(float(np.percentile(seen, 90)), 1))
                end_of_minute, seen = end_of_minute + 60, []
    demo.terminate()
    demo.wait()
    return {"rss_mb": rss, "age_p90_ms": ages}


def resident_mb(pid: int) -> float:
    """Resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return round(int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) / 1024, 1)


def first_answer(model: Path) -> float:
    """Seconds from the start of ``edgecnn demo`` to its first answer."""
    command = [sys.executable, "-m", "edgecnn", "demo", str(model), "--camera", "synthetic", "--view", "none"]
    start = time.perf_counter()
    with subprocess.Popen([*command, "--events", "-"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as demo:
        assert demo.stdout is not None
        demo.stdout.readline()
        seconds = time.perf_counter() - start
        demo.kill()
    return seconds


def plot(document: dict[str, Any], path: Path) -> None:
    """Memory and age over the minutes."""
    import matplotlib.pyplot as plt

    figure, (above, below) = plt.subplots(2, 1, figsize=(7, 5), sharex=True)
    for name, row in (("soak, 30 frames a second", "soak"), ("a camera twice as fast as the model", "too_fast")):
        if ages := document.get(row, {}).get("age_p90_ms"):
            below.plot(range(1, len(ages) + 1), ages, label=name)
    if rss := document.get("soak", {}).get("rss_mb"):
        above.plot(range(1, len(rss) + 1), rss)
        above.set_ylim(0, 1.2 * max(rss))
    above.set(ylabel="resident memory, MB", title="edgecnn demo with its page and a viewer")
    below.set(ylabel="age when shown, p90, ms", xlabel="minute", ylim=(0, None))
    below.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def say(name: str, **figures: float) -> None:
    """A line for people."""
    print(f"{name}: {', '.join(f'{key} {value:g}' for key, value in figures.items())}", file=sys.stderr)


if __name__ == "__main__":
    main()
