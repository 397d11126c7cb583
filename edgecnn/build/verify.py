"""The last stage: re-open the file that was written, hold it against every promise, and measure it.

Nothing here asks Keras: the file is read as bytes, and run by `Classifier`, as on the device.
"""

import gzip
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgecnn.build import confidence
from edgecnn.build.convert import INT8_FILE, KERAS_LOGITS
from edgecnn.build.data import Images
from edgecnn.build.dress import dress
from edgecnn.build.flatbuffer import FileFacts, inspect, with_beta
from edgecnn.build.photographs import Photographs
from edgecnn.build.promises import check_promises
from edgecnn.build.recipe import Artifact, Context, Kind, Recipe
from edgecnn.build.sparsify import ZEROS, sparsity_of
from edgecnn.build.train import FLOAT_FILE, PTQ_FILE
from edgecnn.bundle import Bundle
from edgecnn.errors import DataError
from edgecnn.evaluation import Evaluation, evaluate
from edgecnn.images import SPLITS, Split
from edgecnn.inference import Classifier
from edgecnn.progress import Count

BUNDLE_FILE = "bundle.tflite"


@dataclass(frozen=True, kw_only=True)
class Verify:
    """Proves the file's types, scales and zeros and the splits of the data, and measures accuracy, size and speed.

    From the file's own scores it chooses the threshold under which a device says "unknown", which goes into the
    manifest, and measures what it keeps and lets in; see `edgecnn.build.confidence`.

    Attributes:
        float_tensors: names of the tensors that may, and then must, be neither int8 nor int32, each as often as it is
            there.
        runs: timed invokes of the float and of the int8 file, one thread, interleaved.
    """

    float_tensors: tuple[str, ...] = ()
    runs: int = 200

    name: ClassVar[str] = "verify"
    takes: ClassVar[tuple[Kind | None, ...]] = ("tflite",)
    makes: ClassVar[Kind] = "tflite"
    revision: ClassVar[int] = 3
    timed: ClassVar[bool] = True

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        return [f"Verify takes at least 1 run, not {self.runs}"] if self.runs < 1 else []

    def misfits(self, recipe: Recipe) -> list[str]:
        """What of the recipe it does not go with, one sentence each."""
        blind = recipe.out_of_set is not None and isinstance(recipe.data, Photographs)
        return ["a threshold for images of none of the classes takes images of the classes, too"] if blind else []

    def beyond(self, recipe: Recipe) -> tuple[Any, ...]:
        """The threshold depends on images that no other stage sees, and the manifest has what the card says.

        Raises:
            DataError: there is no such folder.
        """
        strangers = () if recipe.out_of_set is None else (recipe.out_of_set.open(recipe.input).digest,)
        return (*strangers, asdict(recipe.card)) if recipe.card else strangers

    def run(self, artifact: Artifact | None, context: Context) -> Artifact:
        """Leaves the bundle that ships, and the figures of the report.

        Raises:
            ModelError: the file broke a promise about its types, scales or zeros; all of them are said.
            DataError: an image is in two splits.
        """
        assert artifact is not None, "the recipe's check puts a stage that makes a file first"
        check_disjoint({split: context.data[split] for split in SPLITS})
        model = artifact.files[INT8_FILE].read_bytes()
        facts = inspect(model)
        check_promises(
            facts,
            spec=context.recipe.input,
            zeros=_zeros(context),
            float_tensors=self.float_tensors,
            float_operators=artifact.metrics["float_operators"],
            class_maps=artifact.metrics["class_maps"],
        )
        dress(model, context, {}).write(path := context.workspace / BUNDLE_FILE)
        figures = self._measure(Bundle.read(path), facts, artifact, context)
        accuracies = {name: figures[name]["accuracy"] for name in ("float", "ptq", "int8")}
        accuracies["agreement"] = figures["int8"]["agreement"]
        scores = {name: figures["confidence"][name] for name in ("temperature", "threshold")}
        dress(model, context, {"accuracy": accuracies, "confidence": scores}).write(path)
        data = Bundle.read(path).data
        figures["model"] = {**_sizes(data), "sha256": hashlib.sha256(data).hexdigest()}
        figures["steps"][-1] |= _sizes(data)
        return Artifact(kind=self.makes, files={BUNDLE_FILE: path}, metrics=figures)

    def _measure(self, bundle: Bundle, facts: FileFacts, artifact: Artifact, context: Context) -> dict[str, Any]:
        keras_answers = np.load(artifact.files[KERAS_LOGITS]).argmax(axis=1)
        earlier = _earlier(context)
        count = Count(context.progress, self._invokes(len(earlier), context), "verify: answering through every file")
        shipped = _evaluate(bundle, context.data["test"], count)
        counts = {split: len(context.data[split]) for split in SPLITS}
        left_out = [{"path": path, "reason": why} for path, why in context.data.load(context.progress).left_out]
        steps = self._steps([*earlier, ("convert", artifact.metrics["method"], bundle)], shipped, context, count)
        return {
            "float": _without_names(steps[0]),
            "ptq": _without_names(steps[-2]),
            "int8": {
                **shipped.figures(),
                "agreement": round(float((shipped.answers == keras_answers).mean()), 6),
                "sparsity": sparsity_of(facts.kernels),
                "p50_ms": steps[-1]["p50_ms"],
                "method": artifact.metrics["method"],
                "float_layers": artifact.metrics["float_layers"],
                "per_class": shipped.per_class(),
            },
            "confidence": _confidence(bundle, shipped, artifact.metrics, context, count),
            "steps": steps,
            "candidates": artifact.metrics["candidates"],
            "sensitivity": artifact.metrics["sensitivity"],
            "data": {**counts, "classes": list(context.data.labels), "left_out": left_out},
        }

    def _invokes(self, earlier: int, context: Context) -> int:
        """How many images `_measure` answers, and how many invokes it times, in all."""
        data, strangers = context.data, context.out_of_set
        answered = (earlier + 1) * len(data["test"])
        if data.labelled:
            answered += len(data["validation"]) + len(data["test"])
            answered += len(strangers["calibration"]) + len(strangers["test"]) if strangers else 0
        return answered + (earlier + 1) * self.runs

    def _steps(
        self, files: Sequence[tuple[str, str, Bundle]], shipped: Evaluation, context: Context, count: Count
    ) -> list[dict[str, Any]]:
        """What each stage changed: its network after post-training quantization as it would ship, and what ships."""
        measured = [*(_evaluate(each, context.data["test"], count) for _, _, each in files[:-1]), shipped]
        timed = 0

        def on_run(done: int, _: int) -> None:
            nonlocal timed
            count.step((done - timed) * len(files))
            timed = done

        p50s_ms = context.board.p50s_ms([each.data for _, _, each in files], runs=self.runs, on_run=on_run)
        return [
            {"stage": stage, "method": method, **answers.figures(), **_sizes(each.data), "p50_ms": p50_ms}
            for (stage, method, each), answers, p50_ms in zip(files, measured, p50s_ms, strict=True)
        ]


def _earlier(context: Context) -> list[tuple[str, str, Bundle]]:
    """The stage, the method and the file of each network before the one that ships."""
    return [
        (stage.name, method, dress(made.files[file].read_bytes(), context, {}))
        for stage, made in zip(context.recipe.stages, context.history, strict=False)
        for file, method in ((FLOAT_FILE, "float"), (PTQ_FILE, "ptq"))
        if file in made.files
    ]


def _without_names(step: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in step.items() if name not in ("stage", "method")}


def check_disjoint(splits: Mapping[Split, Images]) -> None:
    """Make sure that no image is in two splits.

    Raises:
        DataError: one is.
    """
    seen: dict[str, Split] = {}
    for split, images in splits.items():
        for digest in set(images.digests):
            if digest in seen:
                raise DataError(
                    f"An image is in two splits, {seen[digest]} and {split}.",
                    received=f"an image whose SHA-256 begins with {digest[:12]}",
                    accepted="splits that share no image",
                    remedy="let edgecnn split the data, or remove the copy",
                )
            seen[digest] = split


def _zeros(context: Context) -> dict[str, NDArray[np.bool_]]:
    path = context.latest(ZEROS)
    if path is None:
        return {}
    with np.load(path) as arrays:
        return dict(arrays)


def _confidence(
    bundle: Bundle, test: Evaluation, metrics: Mapping[str, Any], context: Context, count: Count
) -> dict[str, Any]:
    """How far the scores can be believed, through the file; without labels that is not known."""
    fitted = {"temperature": metrics["temperature"], "temperature_note": metrics["temperature_note"]}
    if not context.data.labelled:
        return {**fitted, **confidence.unknown()}
    strangers, chosen_on = context.out_of_set, 0
    halves: list[Evaluation | None] = [None, None]
    if strangers:
        halves = [_evaluate(bundle, strangers[split], count) for split in ("calibration", "test")]
        chosen_on = len(strangers["calibration"])
    level = confidence.threshold(_evaluate(bundle, context.data["validation"], count), halves[0])
    uncalibrated = replace(bundle, model=with_beta(bundle.model, metrics["temperature"]))
    before = _evaluate(uncalibrated, context.data["test"], count)
    found = confidence.figures(level=level, before=before, test=test, strangers=halves[1], chosen_on=chosen_on)
    if advice := confidence.advice(found, context.data.labels):
        context.progress.say(f"verify: {advice}")
    return {**fitted, **found}


def _evaluate(bundle: Bundle, images: Images, count: Count) -> Evaluation:
    with Classifier(bundle, threads=1) as classifier:
        return evaluate(classifier, count.over(zip(images.pixels, images.labels.tolist(), strict=True)))


def _sizes(data: bytes) -> dict[str, int]:
    return {"size_bytes": len(data), "gzip_bytes": len(gzip.compress(data, mtime=0))}
