"""Compression beside its peers, in one run: bytes, download, latency and accuracy of files that this script trains.

    pip install '.[build,benchmarks]'
    python benchmarks/compression.py RECIPE DATA OUT       RECIPE: cifar10, or another that prunes; DATA: its --data

The reference is ResNet8 as MLPerf Tiny has it, trained as the recipe trains its own network; the peers start from it.
Every training is a stage in the user's cache: a run that was stopped goes on, and a second one only measures. Accuracy
is that of the `.tflite`, through `Classifier`, on the test split; latencies are of one interleaved run, one thread.
OUT gets ``NAME.json``, ``NAME.md`` and ``NAME.png``.
"""

import json
import sys
from collections.abc import Iterator
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
TIMES = 10  # how much smaller than float a network is at least
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


def rows(recipe: Recipe, progress: Progress, cache: Cache) -> Iterator[Row]:
    """Every file, trained where it is not there yet."""
    data = recipe.data.open(recipe.input)
    data.load(progress)

    def follow(stages: tuple[Stage, ...], base: Recipe = recipe) -> Context:
        followed = replace(base, stages=stages)
        history, _ = pipeline.follow(followed, progress=progress, cache=cache)
        return Context(recipe=followed, data=data, history=history, workspace=cache.root, progress=progress)

    def of(context: Context, name: str, file: str, kind: str) -> Row:
        path = context.latest(file)
        assert path
        return Row(name=name, kind=kind, file=path, context=context)

    train = recipe.stages[0]
    prune = next(stage for stage in recipe.stages if isinstance(stage, PruneChannels))
    learn = next(stage for stage in recipe.stages if isinstance(stage, Quantize))
    small = replace(recipe, name="resnet8", architecture=ResNet8())
    like: dict[str, Any] = {"batch_size": learn.batch_size}

    whole = follow(recipe.stages[:-1])
    trained = replace(whole, history=whole.history[:1])
    pruned = replace(whole, history=whole.history[:2])
    yield of(trained, "ours: its network, float", FLOAT_FILE, "float")
    yield of(trained, "ours: its network, PTQ", PTQ_FILE, "PTQ")
    yield of(pruned, "ours: pruned, PTQ", PTQ_FILE, "edgecnn")
    yield of(whole, f"ours: ships ({whole.history[-1].metrics['method'].upper()})", INT8_FILE, "edgecnn")
    yield of(follow((train,), small), "ResNet8, float", FLOAT_FILE, "float")
    yield of(follow((train,), small), "ResNet8, TFLite's own PTQ", PTQ_FILE, "PTQ")
    yield of(follow((train, AiEdgeQuantizer()), small), "ResNet8, ai-edge-quantizer", PEER_FILE, "peer")
    yield of(follow((train, TfmotQat(**like, epochs=learn.epochs)), small), "ResNet8, tfmot QAT", PEER_FILE, "peer")
    size = of(trained, "", FLOAT_FILE, "").file.stat().st_size // TIMES
    if prune.size_bytes and prune.size_bytes < size:
        tenth = replace(prune, macs=None, size_bytes=size)
        yield of(follow((train, tenth)), f"ours: pruned to 1/{TIMES} of its float file, PTQ", PTQ_FILE, "edgecnn")
    other = None if prune.distill else Distill(temperature=4.0, weight=0.9)
    name = f"ours: pruned{' and distilled' if other else ', not distilled'}, PTQ"
    yield of(follow((train, replace(prune, distill=other))), name, PTQ_FILE, "edgecnn")
    sparse = TfmotQat(**like, epochs=learn.epochs // 2, sparsity=0.5)
    yield of(follow((train, sparse), small), "ResNet8, tfmot 50 % sparse, PQAT", PEER_FILE, "peer")
    two_of_four = Sparsify(sparsity=0.5, pattern="2:4", **like, epochs=learn.epochs // 2)
    yield of(follow((train, two_of_four), small), "ResNet8, 2:4 sparse, PTQ", PTQ_FILE, "edgecnn")


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
    reference = next(row for row in figures if row["name"] == "ResNet8, TFLite's own PTQ")
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


def main(name: str, data: str, out: str) -> None:
    """Train what is missing, measure everything, write the three files."""
    recipe = recipes.find(name, data=Path(data), quick=False)
    with console.progress() as progress:
        figures = measured(list(rows(recipe, progress, Cache())))
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
