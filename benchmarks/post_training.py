"""What ranges by MSE and bias correction are worth, on the network of the recipe imagenet.

    pip install '.[build,pretrained]'
    python benchmarks/post_training.py PHOTOS OUT

PHOTOS is a folder of photographs that calibration has not seen; a ``labels.csv`` in it (``file,index``) gives top-1.
Calibration is the recipe's own. The logits of the file, dequantized, are held against those of the float network:
agreement of the best class, mean KL divergence of the softmax in nats, ratio of signal to noise. OUT gets
``post_training.json`` and ``post_training.md``.
"""

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import interpreter as litert
from numpy.typing import NDArray

from edgecnn import console
from edgecnn.bench import interleaved, prepare
from edgecnn.build import pipeline, recipes
from edgecnn.build.cache import Cache
from edgecnn.build.recipe import Context
from edgecnn.files import write_atomically
from edgecnn.images import read_image, visible_files
from edgecnn.latency import host_facts
from edgecnn.preprocess import Pixels
from edgecnn.progress import Progress
from edgecnn.targets import choose

Logits = NDArray[np.float32]


def measured(photos: Path, progress: Progress) -> tuple[list[dict[str, Any]], int, int]:
    """One row a method, the number of photographs measured, and that of those in calibration."""
    from edgecnn.build import converter, models

    recipe = recipes.find("imagenet", data=None, quick=False)
    followed = replace(recipe, stages=recipe.stages[:1])
    cache = Cache()
    history, _ = pipeline.follow(followed, progress=progress, cache=cache)
    data = recipe.data.open(recipe.input)
    data.load(progress)
    context = Context(recipe=followed, data=data, history=history, workspace=cache.root, progress=progress)
    model, spec, calibration = models.load_model(context), recipe.input, data["calibration"].pixels
    files = [path for path in visible_files(photos) if path.suffix.lower() in (".jpg", ".jpeg", ".png")]
    pixels = np.stack([spec.apply(read_image(path)[0]) for path in files])
    truth = np.concatenate(
        [model(spec.dequantize(pixels[i : i + 16]), training=False) for i in range(0, len(pixels), 16)]
    )
    classes = _classes(photos, files)
    rows, sessions = [], []
    for ranges in ("minmax", "mse"):
        for correct in (False, True):
            file = converter.ptq_file(model, spec, calibration, ranges=ranges, correct_biases=correct)
            name = f"{ranges}{', biases corrected' if correct else ''}"
            rows.append({"method": name, **_compared(truth, _logits(file, pixels), classes), "bytes": len(file)})
            sessions.append(prepare(choose().load(file, threads=1)))
            progress.say(json.dumps(rows[-1]))
    for row, stats in zip(rows, interleaved(sessions, runs=200), strict=True):
        row["p50_ms"] = stats.p50_ms
    if classes is not None:
        rows.append({"method": "float", "top1": round(float((truth.argmax(axis=1) == classes).mean()), 4)})
    return rows, len(files), len(calibration)


def _classes(photos: Path, files: list[Path]) -> NDArray[np.int64] | None:
    if not (listed := photos / "labels.csv").exists():
        return None
    with listed.open(newline="") as file:
        index = {row["file"]: int(row["index"]) for row in csv.DictReader(file)}
    return np.array([index[path.name] for path in files])


def _logits(file: bytes, pixels: Pixels) -> Logits:
    """What stands before the softmax, dequantized: (n, classes)."""
    runner = litert.Interpreter(
        model_content=file,
        experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    runner.allocate_tensors()
    softmax = next(each for each in runner._get_ops_details() if each["op_name"] == "SOFTMAX")
    index = softmax["inputs"][0]
    scale, zero_point = next(t for t in runner.get_tensor_details() if t["index"] == index)["quantization"]
    found = []
    for image in pixels:
        runner.set_tensor(runner.get_input_details()[0]["index"], image[np.newaxis])
        runner.invoke()
        found.append((runner.get_tensor(index)[0].astype(np.float32) - zero_point) * np.float32(scale))
    return np.stack(found)


def _compared(truth: Logits, found: Logits, classes: NDArray[np.int64] | None) -> dict[str, Any]:
    before, after = _log_softmax(truth), _log_softmax(found)
    kl = (np.exp(before) * (before - after)).sum(axis=1).mean()
    noise = 10 * np.log10((truth**2).sum() / ((truth - found) ** 2).sum())
    agreement = (truth.argmax(axis=1) == found.argmax(axis=1)).mean()
    top1 = {} if classes is None else {"top1": round(float((found.argmax(axis=1) == classes).mean()), 4)}
    return {
        "agreement": round(float(agreement), 4),
        "kl": round(float(kl), 5),
        "sqnr_db": round(float(noise), 2),
        **top1,
    }


def _log_softmax(logits: Logits) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def table(rows: list[dict[str, Any]]) -> str:
    """In Markdown."""
    lines = ["| method | agreement | KL | SQNR | top-1 | bytes | p50 ms |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        cells = [str(row.get(name, "")) for name in ("agreement", "kl", "sqnr_db", "top1", "bytes", "p50_ms")]
        lines.append(f"| {row['method']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main(photos: str, out: str) -> None:
    """Measure everything, write both files."""
    with console.progress() as progress:
        rows, count, calibrated = measured(Path(photos), progress)
    host, folder = host_facts(), Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    note = f"{count} photographs, calibrated on {calibrated} others; {host['cores']} cores of {host['processor']}"
    document = json.dumps({"host": host, "photographs": count, "calibration": calibrated, "rows": rows}, indent=1)
    write_atomically(folder / "post_training.json", (document + "\n").encode())
    write_atomically(folder / "post_training.md", f"{note}\n\n{table(rows)}".encode())
    print(table(rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
