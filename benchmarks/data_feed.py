"""What the data costs a training: python benchmarks/data_feed.py [--images N] [--steps N] [--folder DIR]

Two promises, at 96 px with the network and the augmentations of the recipe `photos`: at least 95 % of a step's time is
the model's, and the whole of opening, decoding and training over 200,000 images stays under 2 GB of resident memory.

The share is the median step on one batch that is on hand already, over the median step on the feed of a build. Rounds
of both take turns, so that what else runs on the machine falls on both, and the first steps of each round, in which the
other's buffers are filled, do not count. The images are JPEGs of 32 px, generated, no two alike; the folder and the
cache are kept with --folder, else removed. Ends in one JSON line on stdout.
"""

import argparse
import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgecnn.build import Folder, recipes
from edgecnn.build.cache import Cache
from edgecnn.build.recipe import Context
from edgecnn.latency import available_cores, host_facts

SHARE, MEMORY_BYTES = 0.95, 2 * 10**9
CLASSES, PIXELS, ROUND, UNCOUNTED = 10, 32, 24, 8


class Stderr:
    """Progress, line by line."""

    def update(self, done: int, total: int, note: str = "") -> None:
        """After each block of images."""
        if total:
            print(f"{note}: {done}/{total}", file=sys.stderr)

    def say(self, message: str) -> None:
        """A line that stays."""
        print(message, file=sys.stderr)


def main() -> None:
    """Run, print, and exit with 1 where a promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--steps", type=int, default=400, help="of each kind")
    parser.add_argument("--folder", type=Path, default=None)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        result = measure(arguments.folder or Path(temporary), arguments.images, arguments.steps)
    print(json.dumps(result))
    sys.exit(0 if result["passed"] else 1)


def measure(folder: Path, count: int, steps: int) -> dict[str, Any]:
    """Everything, in one process."""
    photos = folder / f"photos-{count}"
    generate(photos, count)
    started = time.monotonic()
    recipe = replace(recipes.find("photos", data=None, quick=False), data=Folder(path=str(photos)))
    data = recipe.data.open(recipe.input)
    opened = time.monotonic()
    data.load(Stderr(), Cache(folder / "cache"))
    loaded = time.monotonic()
    memory = {"loaded": peak_bytes()}
    context = Context(recipe=recipe, data=data, history=(), workspace=folder, progress=Stderr())
    fed, on_hand = step_times(context, steps)
    memory["trained"] = peak_bytes()
    share = round(float(np.median(on_hand) / np.median(fed)), 4)
    return {
        "schema": 1,
        "images": count,
        "open_s": round(opened - started, 1),
        "decode_s": round(loaded - opened, 1),
        "peak_resident_bytes": memory,
        "step_ms": {"feed": round(float(np.median(fed)), 3), "on_hand": round(float(np.median(on_hand)), 3)},
        "steps": len(fed),
        "model_share": share,
        "passed": share >= SHARE and memory["trained"] < MEMORY_BYTES,
        "limits": {"model_share": SHARE, "peak_resident_bytes": MEMORY_BYTES},
        "host": host_facts(),
    }


def generate(folder: Path, count: int) -> None:
    """JPEGs that differ, in class folders; what is there already stays."""

    def write(index: int) -> None:
        path = folder / str(index % CLASSES) / f"{index}.jpg"
        if not path.exists():
            blocks = np.random.default_rng(index).integers(0, 256, (6, 6, 3), np.uint8)
            path.write_bytes(cv2.imencode(".jpg", cv2.resize(blocks, (PIXELS, PIXELS)))[1].tobytes())

    for label in range(CLASSES):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(available_cores()) as pool:
        for start in range(0, count, 10_000):
            list(pool.map(write, range(start, min(start + 10_000, count))))


def step_times(context: Context, steps: int) -> tuple[list[float], list[float]]:
    """Milliseconds of training steps: on the feed of a build, and on one batch of it again and again."""
    from edgecnn.build import feed, fitting, models
    from edgecnn.build.keras import tf

    schedule: Any = context.recipe.stages[0]
    model = models.build(context.recipe.architecture, context)
    fitting._compile(model, schedule, fitting.optimizer(model, schedule, 100_000))
    batches = feed.batches(context.data["train"], context, (0, 0), schedule.batch_size)
    iterators = iter(batches.repeat()), iter(tf.data.Dataset.from_tensors(next(iter(batches))).repeat())
    step = model.make_train_function()
    times: tuple[list[float], list[float]] = ([], [])
    while len(times[0]) < steps:
        for iterator, found in zip(iterators, times, strict=True):
            for number in range(ROUND):
                start = time.perf_counter_ns()
                step(iterator)["loss"].numpy()
                if number >= UNCOUNTED:
                    found.append((time.perf_counter_ns() - start) / 1e6)
    return times


def peak_bytes() -> int:
    """The most memory that this process has had resident, in bytes."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


if __name__ == "__main__":
    main()
