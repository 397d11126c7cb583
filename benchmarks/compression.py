"""Compression beside its peers, in one run: bytes, download, latency and accuracy of files that this script trains.

    pip install '.[build,benchmarks]'
    python benchmarks/compression.py RECIPE DATA OUT [WORD...]     RECIPE: cifar10, or one that prunes; DATA: its --data

The reference is ResNet8 as MLPerf Tiny has it, trained as the recipe trains its own network; the peers start from it.
Every training is a stage in the user's cache: a run that was stopped goes on, and a second one only measures. Accuracy
is that of the `.tflite`, through `Classifier`, on the test split; latencies are of one interleaved run, one thread.
OUT gets ``NAME.json``, ``NAME.md`` and ``NAME.png``. With words, only files whose names have one, and the reference.
"""

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from edgecnn import console, targets
from edgecnn.bench import interleaved, prepare
from edgecnn.build import Distill, PruneChannels, Quantize, ResNet8, Sparsify, pipeline, recipes
from edgecnn.build.cache import Cache
from edgecnn.build.convert import INT8_FILE
from edgecnn.build.dress import dress
from edgecnn.build.recipe import Artifact, Context, Kind, Recipe, Stage
from edgecnn.build.schedule import Schedule
from edgecnn.build.train import FLOAT_FILE, PTQ_FILE
from edgecnn.evaluation import evaluate
from edgecnn.files import write_atomically
from edgecnn.inference import Classifier
from edgecnn.latency import host_facts
from edgecnn.progress import Progress

RUNS = 2000
REFERENCE = "TFLite's own PTQ"
PEER_FILE = "peer.tflite"


@dataclass(frozen=True, kw_only=True)
class TfmotQat(Schedule):
    """What tfmot's guide says to do, on the reference; with sparsity, ``epochs`` of pruning, then as many of PQAT."""

    sparsity: float | None = None

    name: ClassVar[str] = "tfmot-qat"
    takes: ClassVar[tuple[Kind | None, ...]] = ("keras",)
    makes: ClassVar[Kind] = "tflite"
    revision: ClassVar[int] = 1

    def run(self, artifact: Artifact | None, context: Context) -> Artifact:
        """Leaves the file."""
        from edgecnn.build import fitting, models
        from edgecnn.build.keras import tfmot

        model, quantization = models.load_model(context), tfmot.quantization.keras
        if self.sparsity:
            pruning = tfmot.sparsity.keras
            schedule = pruning.ConstantSparsity(self.sparsity, begin_step=0)
            pruned = pruning.prune_low_magnitude(model, pruning_schedule=schedule)
            fitting.fit(pruned, context, self, callbacks=[pruning.UpdatePruningStep()], part=1)
            scheme = tfmot.experimental.combine.Default8BitPrunePreserveQuantizeScheme()
            annotated = quantization.quantize_annotate_model(pruning.strip_pruning(pruned))
            aware = quantization.quantize_apply(annotated, scheme)
        else:
            aware = quantization.quantize_model(model)
        fitting.fit(aware, context, self, part=2)
        write_atomically(path := context.workspace / PEER_FILE, _by_default(aware))
        return Artifact(kind=self.makes, files={PEER_FILE: path})


@dataclass(frozen=True, kw_only=True)
class AiEdgeQuantizer:
    """ai-edge-quantizer's static int8 recipe, on the reference's float file."""

    name: ClassVar[str] = "ai-edge-quantizer"
    takes: ClassVar[tuple[Kind | None, ...]] = ("keras",)
    makes: ClassVar[Kind] = "tflite"
    revision: ClassVar[int] = 1

    def run(self, artifact: Artifact | None, context: Context) -> Artifact:
        """Leaves the file."""
        from ai_edge_litert.interpreter import Interpreter
        from ai_edge_quantizer import quantizer, recipe

        file = context.latest(FLOAT_FILE)
        assert file
        signature = Interpreter(str(file)).get_signature_runner()
        images = context.recipe.input.dequantize(context.data["calibration"].pixels[:])
        (argument,) = signature.get_input_details()
        data = {"serving_default": [{argument: image[np.newaxis]} for image in images]}
        maker = quantizer.Quantizer(str(file), recipe.static_wi8_ai8())
        made = maker.quantize(maker.calibrate(data))
        write_atomically(path := context.workspace / PEER_FILE, bytes(made.quantized_model))
        return Artifact(kind=self.makes, files={PEER_FILE: path})


def _by_default(model: Any) -> bytes:
    """Converted with the converter's defaults: float in and out."""
    from edgecnn.build.keras import keras, tf
    from edgecnn.silence import silenced

    with silenced():
        scores = keras.Model(model.inputs, keras.layers.Softmax()(model.outputs[0]))
        converter = tf.lite.TFLiteConverter.from_keras_model(scores)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        return bytes(converter.convert())


@dataclass(frozen=True, kw_only=True)
class Row:
    """A file to measure, with what was done to get it."""

    name: str
    kind: str
    file: Path
    context: Context


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A file to make."""

    name: str
    kind: str
    file: str
    recipe: Recipe


def plans(recipe: Recipe) -> list[Plan]:
    """Every file; those that begin alike share their trainings."""
    train = recipe.stages[0]
    prune = next(stage for stage in recipe.stages if isinstance(stage, PruneChannels))
    learn = next(stage for stage in recipe.stages if isinstance(stage, Quantize))
    small = replace(recipe, name="resnet8", architecture=ResNet8())
    like: dict[str, Any] = {"batch_size": learn.batch_size}
    other = None if prune.distill else Distill(temperature=4.0, weight=0.9)
    others = f"ours: pruned{' and distilled' if other else ', not distilled'}, PTQ"
    half = {**like, "epochs": learn.epochs // 2, "sparsity": 0.5}

    def ours(name: str, file: str, *stages: Stage, kind: str = "edgecnn") -> Plan:
        return Plan(name=name, kind=kind, file=file, recipe=replace(recipe, stages=stages))

    def peer(name: str, file: str, *stages: Stage, kind: str = "peer") -> Plan:
        return Plan(name=f"ResNet8, {name}", kind=kind, file=file, recipe=replace(small, stages=(train, *stages)))

    return [
        ours("ours: its network, float", FLOAT_FILE, train, kind="float"),
        ours("ours: its network, PTQ", PTQ_FILE, train, kind="PTQ"),
        ours("ours: pruned, PTQ", PTQ_FILE, *recipe.stages[:2]),
        ours("ours: ships", INT8_FILE, *recipe.stages[:-1]),
        peer("float", FLOAT_FILE, kind="float"),
        peer(REFERENCE, PTQ_FILE, kind="PTQ"),
        peer("ai-edge-quantizer", PEER_FILE, AiEdgeQuantizer()),
        peer("tfmot QAT", PEER_FILE, TfmotQat(**like, epochs=learn.epochs)),
        ours(others, PTQ_FILE, train, replace(prune, distill=other)),
        peer("tfmot 50 % sparse, PQAT", PEER_FILE, TfmotQat(**half)),
        peer("2:4 sparse, PTQ", PTQ_FILE, Sparsify(**half, pattern="2:4"), kind="edgecnn"),
    ]


def made(plan: Plan, progress: Progress, cache: Cache) -> Row:
    """The file, trained where it is not there yet."""
    recipe = plan.recipe
    data = recipe.data.open(recipe.input)
    history, _ = pipeline.follow(recipe, progress=progress, cache=cache)
    data.load(progress, cache)
    context = Context(recipe=recipe, data=data, history=history, workspace=cache.root, progress=progress)
    path = context.latest(plan.file)
    assert path
    return Row(name=plan.name, kind=plan.kind, file=path, context=context)


def measured(found: list[Row]) -> list[dict[str, Any]]:
    """Figures of every row; all are dressed alike, with labels and provenance."""
    import gzip

    bundles = [dress(row.file.read_bytes(), row.context, {}) for row in found]
    load = targets.choose().load
    stats = interleaved([prepare(load(bundle.model, threads=1)) for bundle in bundles], runs=RUNS)
    figures = []
    for row, bundle, latency in zip(found, bundles, stats, strict=True):
        test = row.context.data["test"]
        with Classifier(bundle, threads=1) as classifier:
            accuracy = evaluate(classifier, zip(test.pixels, test.labels.tolist(), strict=True)).accuracy
        row.context.progress.say(f"{row.name}: {accuracy:.4f}")
        sizes = {"size_bytes": len(bundle.data), "gzip_bytes": len(gzip.compress(bundle.data, mtime=0))}
        figures.append(
            {"name": row.name, "kind": row.kind, "accuracy": accuracy, **sizes, "p50_ms": latency.p50_ms}
            | {"bare_bytes": row.file.stat().st_size, "test_images": len(test)}
        )
    return figures


def table(figures: list[dict[str, Any]]) -> str:
    """In Markdown; latency also against the reference in int8."""
    reference = next(row for row in figures if row["name"] == f"ResNet8, {REFERENCE}")
    lines = ["| file | accuracy | bytes | gzip | p50 ms | times the reference's |", "|---|---|---|---|---|---|"]
    for row in sorted(figures, key=lambda each: -each["size_bytes"]):
        ratio = row["p50_ms"] / reference["p50_ms"]
        sizes = f"{row['size_bytes']:,} | {row['gzip_bytes']:,}"
        lines.append(f"| {row['name']} | {row['accuracy']:.4f} | {sizes} | {row['p50_ms']:.4f} | {ratio:.2f} |")
    return "\n".join(lines) + "\n"


def plot(figures: list[dict[str, Any]], title: str, path: Path) -> None:
    """Accuracy over bytes and over latency; the line joins the files that no other beats in both."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(13, 5.5), sharey=True)
    for axis, (name, label) in zip(axes, (("size_bytes", "bytes"), ("p50_ms", "p50 ms, one thread")), strict=True):
        best = [r for r in figures if not any(o[name] < r[name] and o["accuracy"] >= r["accuracy"] for o in figures)]
        best.sort(key=lambda row: row[name])
        axis.plot([row[name] for row in best], [row["accuracy"] for row in best], color="0.8", zorder=0)
        for number, row in enumerate(figures, start=1):
            color = {"edgecnn": "tab:green", "peer": "tab:red", "PTQ": "tab:blue", "float": "0.5"}[row["kind"]]
            axis.scatter(row[name], row["accuracy"], color=color, label=f"{number}  {row['name']}")
            axis.annotate(str(number), (row[name], row["accuracy"]), textcoords="offset points", xytext=(5, 4))
        axis.set(xscale="log", xlabel=label)
        axis.grid(alpha=0.3, which="both")
    axes[0].set_ylabel("accuracy of the file, test split")
    axes[1].legend(fontsize=7, loc="lower right")
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main(name: str, data: str, out: str, *words: str) -> None:
    """Train what is missing, measure everything, write the three files."""
    recipe = recipes.find(name, data=Path(data), quick=False)
    wanted = [each for each in plans(recipe) if not words or any(word in each.name for word in (*words, REFERENCE))]
    with console.progress() as progress:
        figures = measured([made(each, progress, Cache()) for each in wanted])
    host = host_facts()
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    note = f"{name}, {figures[0]['test_images']:,} test images; {host['cores']} cores of {host['processor']}"
    write_atomically(folder / f"{name}.json", (json.dumps({"host": host, "rows": figures}, indent=1) + "\n").encode())
    write_atomically(folder / f"{name}.md", f"{note}\n\n{table(figures)}".encode())
    plot(figures, note, folder / f"{name}.png")
    print(table(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
