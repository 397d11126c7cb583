"""Does MediaPipe Tasks take a bundle as it is, and answer as edgecnn does?

    python -m venv mediapipe-venv && mediapipe-venv/bin/pip install mediapipe
    python benchmarks/mediapipe_agreement.py MODEL IMAGES mediapipe-venv/bin/python

IMAGES is a folder of images, or a video. Both classify the same frames, each with its own resize, at the frames' own
size. MediaPipe lives in a virtual environment of its own: its OpenCV and absl-py clash with the build's.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from edgecnn import Bundle, Classifier
from edgecnn.device import open_camera

FRAMES = 300

IN_MEDIAPIPE = """
import json, sys
import mediapipe, numpy
from mediapipe.tasks.python import BaseOptions, vision
options = vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_path=sys.argv[1]))
answers = []
with numpy.load(sys.argv[2]) as frames, vision.ImageClassifier.create_from_options(options) as classifier:
    for name in frames.files:
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=frames[name])
        best = max(classifier.classify(image).classifications[0].categories, key=lambda category: category.score)
        answers.append([best.category_name, best.score])
print(json.dumps({"version": mediapipe.__version__, "answers": answers}))
"""


def main(model: str, images: str, mediapipe_python: str) -> None:
    """Classify with both, and end in one line of JSON."""
    frames = []
    with open_camera(images) as camera:
        while len(frames) < FRAMES and (frame := camera.read()) is not None:
            frames.append(np.ascontiguousarray(frame.image))
    bundle = Bundle.read(model)
    with Classifier(bundle) as classifier:
        ours = [classifier(frame)[0] for frame in frames]
    with tempfile.TemporaryDirectory() as folder:
        np.savez(stored := Path(folder) / "frames.npz", *frames)
        command = [mediapipe_python, "-c", IN_MEDIAPIPE, model, str(stored)]
        theirs = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)
    pairs = list(zip(ours, theirs["answers"], strict=True))
    same = [own.label == label for own, (label, _) in pairs]
    apart = [abs(own.score - score) for own, (label, score) in pairs if own.label == label]
    result = {
        "frames": len(frames),
        "frame_sizes": sorted({frame.shape[:2] for frame in frames})[:3],
        "same_top1": round(float(np.mean(same)), 4),
        "largest_score_difference": round(max(apart, default=0.0), 4),
        "mediapipe": theirs["version"],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
