"""Does it save what `edgecnn bench --layers` says it would, to prune what it says?

    pip install '.[build]'
    python benchmarks/prune_advice.py OUT

Untrained networks in int8, which take the time of trained ones. Of each the operators are timed, the advice is followed
to the letter (that many of those channels are kept), and the file after it is timed in turn with the file before;
``STEPS`` times over. Said and found are shares of the time before that are left, found with its 95 % interval; beside
them is the share of the MACs that is left, which is what one would go by without a measurement. OUT gets
``prune_advice.json`` and ``prune_advice.md``.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn import InputSpec, build, console
from edgecnn.bench import bench, operator_times
from edgecnn.bench.candidates import candidates
from edgecnn.build.recipe import Architecture
from edgecnn.conditions import Snapshot, described
from edgecnn.files import write_atomically
from edgecnn.latency import host_facts
from edgecnn.progress import Progress

STEPS, RUNS = 3, 200
LEGEND = (
    "Said, found (with its 95 % interval) and MACs are shares of the network before the step that are left after it."
)
NETWORKS: tuple[tuple[str, Architecture, int, int], ...] = (  # name, network, pixels, classes
    ("ConvNet", build.ConvNet(), 96, 10),
    ("ResNet8", build.ResNet8(), 96, 10),
    ("SeparableNet", build.SeparableNet(), 96, 10),
    ("MobileNetV2", build.MobileNetV2(), 224, 1000),
    ("EfficientNetLite0", build.EfficientNetLite0(), 224, 1000),
    ("ResNet18", build.ResNet18(), 224, 1000),
)


def measured(folder: Path, progress: Progress) -> list[dict[str, Any]]:
    """One row a network and step."""
    from edgecnn.build.canonical import canonical
    from edgecnn.build.keras import keras

    rows = []
    for done, (name, network, pixels, classes) in enumerate(NETWORKS):
        keras.backend.clear_session()
        keras.utils.set_random_seed(0)
        spec = InputSpec(height=pixels, width=pixels)
        model = canonical(network.build(spec, classes))
        file = _written(model, spec, folder / f"{name}-0.tflite")
        for step in range(1, STEPS + 1):
            progress.update(done * STEPS + step - 1, len(NETWORKS) * STEPS, f"{name}, step {step}")
            layers = operator_times.time_operators(candidates([file], names=None, threads=[1])[0], runs=RUNS).as_json()
            if (advice := layers["prune_next"]) is None:
                break
            model, macs_left = _followed(model, advice)
            smaller = _written(model, spec, folder / f"{name}-{step}.tflite")
            after = bench(candidates([file, smaller], names=None, threads=[1]), runs=RUNS).as_json()["runs"][1]
            rows.append(
                {
                    "network": name,
                    "pixels": pixels,
                    "step": step,
                    **{key: advice[key] for key in ("layers", "channels", "kept")},
                    "said": round(1 - advice["saves_ms"] / layers["sum_ms"], 4),
                    "found": after["ratio"],
                    "found_interval": after["ratio_interval"],
                    "macs": round(macs_left, 4),
                }
            )
            file = smaller
    return rows


def _written(model: Any, spec: InputSpec, path: Path) -> Path:
    """The model as an int8 file."""
    from edgecnn.build import converter

    noise = np.random.default_rng(0).integers(0, 256, (2, *spec.shape), np.uint8)
    path.write_bytes(converter.ptq_file(model, spec, noise))
    return path


def _followed(model: Any, advice: dict[str, Any]) -> tuple[Any, float]:
    """The model with as many of those channels as the advice keeps, and the share of its MACs that is left."""
    from edgecnn.build.channels import Channels

    channels = Channels(model)
    [group] = [each for each in channels.groups if {*each.layers} & {*advice["layers"]}]
    assert len(group.ids) == advice["channels"]
    alive = np.ones(channels.count, bool)
    before = channels.cost(alive).macs
    alive[group.ids[advice["kept"] :]] = False
    return channels.without(alive), channels.cost(alive).macs / before


def table(rows: list[dict[str, Any]]) -> str:
    """In Markdown."""
    lines = ["| network | pixels | pruned | time left: said | found | MACs left |", "|---" * 6 + "|"]
    for row in rows:
        first, *more = row["layers"]
        tied = f" and {len(more)} more" if more else ""
        what = f"{first}{tied}: {row['channels']} to {row['kept']}"
        low, high = row["found_interval"]
        found = f"{row['found']:.3f} ({low:.3f} to {high:.3f})"
        lines.append(
            f"| {row['network']} | {row['pixels']} | {what} | {row['said']:.3f} | {found} | {row['macs']:.3f} |"
        )
    return "\n".join(lines) + "\n"


def summary(rows: list[dict[str, Any]]) -> str:
    """How far off both are, in a sentence."""
    off = {key: np.array([abs(row[key] - row["found"]) for row in rows]) for key in ("said", "macs")}
    saved = np.array([1 - row["found"] for row in rows])
    kept = saved / [1 - row["said"] for row in rows]
    return (
        f"A step saves {np.median(saved):.1%} of the time (median of {len(rows)}), which is {np.median(kept):.2f} of "
        f"what is said (worst {kept.min():.2f}). What is said is off by "
        f"{np.median(off['said']):.1%} of the time (at most {off['said'].max():.1%}), the share of MACs by "
        f"{np.median(off['macs']):.1%} (at most {off['macs'].max():.1%})."
    )


def main(out: str) -> None:
    """Measure everything, write both files."""
    before = Snapshot.take()
    with console.progress() as progress, tempfile.TemporaryDirectory() as files:
        rows = measured(Path(files), progress)
    host, folder = host_facts(), Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    document = {"host": host, "conditions": described(before, Snapshot.take()), "rows": rows}
    write_atomically(folder / "prune_advice.json", (json.dumps(document, indent=1) + "\n").encode())
    note = f"Untrained, int8, one thread, p50 of {RUNS} rounds; {host['cores']} cores of {host['processor']}"
    text = f"{note}. {LEGEND}\n\n{table(rows)}\n{summary(rows)}\n"
    write_atomically(folder / "prune_advice.md", text.encode())
    print(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
