"""Which map of `edgecnn explain` marks what decides: deletion and insertion (Petsiuk et al. 2018, arXiv:1806.07421).

    python benchmarks/explain_deletion.py MODEL FOLDER [--images 24]

What a map marks highest is hidden first, in grey (deletion: the score should fall soon, a small mean is good), or shown
first on a blurred image (insertion: it should rise soon, a large mean is good). The means are over 20 steps and over
images, spread over the folder. `random` is a map that knows nothing; `grad-cam` needs the build's cache.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from edgecnn import Bundle
from edgecnn.build.grad_cam import GradCam
from edgecnn.errors import UsageError
from edgecnn.explain.saliency import METHODS, Evidence
from edgecnn.images import read_image, visible_files

STEPS = 20


def areas(evidence: Evidence, pixels: np.ndarray, index: int, order: np.ndarray) -> tuple[float, float]:
    """The mean score of a class while places go in an order, and while they come."""
    grey, blurred = np.full_like(pixels, 128), cv2.GaussianBlur(pixels, (0, 0), pixels.shape[0] / 20)
    falling, rising = [], []
    for step in range(STEPS + 1):
        gone = np.zeros(order.size, bool)
        gone[order[: order.size * step // STEPS]] = True
        gone = gone.reshape(*pixels.shape[:2], 1)
        falling.append(evidence.answer(np.where(gone, grey, pixels))[1][index])
        rising.append(evidence.answer(np.where(gone, pixels, blurred))[1][index])
    return float(np.mean(falling)), float(np.mean(rising))


def main() -> None:
    """Print the means after each image."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=24)
    arguments = parser.parse_args()
    bundle = Bundle.read(arguments.model)
    evidence, random = Evidence(bundle, threads=1), np.random.default_rng(0)
    assert bundle.input is not None
    looks = {name: lambda pixels, index, name=name: evidence.map(pixels, index, name) for name in METHODS}
    looks["random"] = lambda pixels, index: random.random((7, 7)).astype(np.float32)
    try:
        looks["grad-cam"] = GradCam(bundle)
    except UsageError as error:
        print(error.message)
    files = [path for path in visible_files(arguments.folder) if path.suffix.lower() in (".jpg", ".jpeg", ".png")]
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in looks}
    for path in files[:: max(1, len(files) // arguments.images)][: arguments.images]:
        pixels = bundle.input.apply(read_image(path)[0])
        index = evidence.answer(pixels)[0][0].index
        for name, look in looks.items():
            fine = cv2.resize(look(pixels, index), pixels.shape[1::-1], interpolation=cv2.INTER_LINEAR)
            found[name].append(areas(evidence, pixels, index, np.argsort(-fine, axis=None, kind="stable")))
        means = {name: np.mean(each, axis=0).round(4).tolist() for name, each in found.items()}
        print(json.dumps({"images": len(found["random"]), "deletion, insertion": means}), flush=True)


if __name__ == "__main__":
    main()
