"""The last stage: re-open the file that was written, hold it against every promise, and measure it.

Nothing here asks Keras: the file is read as bytes, and run by `Classifier`, as on the device.
"""

import gzip
import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgecnn import targets
from edgecnn.bench import interleaved, prepare
from edgecnn.build import confidence
from edgecnn.build.convert import INT8_FILE, KERAS_LOGITS
from edgecnn.build.data import Images
from edgecnn.build.dress import dress
from edgecnn.build.flatbuffer import FileFacts, inspect, with_beta
from edgecnn.build.photographs import Photographs
from edgecnn.build.recipe import Artifact, Context, Kind, Recipe, counted
from edgecnn.build.sparsify import ZEROS, sparsity_of
from edgecnn.build.train import FLOAT_FILE, PTQ_FILE
from edgecnn.bundle import Bundle
from edgecnn.errors import DataError, ModelError
from edgecnn.evaluation import Evaluation, evaluate
from edgecnn.images import SPLITS, Split
from edgecnn.inference import Classifier
from edgecnn.preprocess import InputSpec

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

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        return [f"Verify takes at least 1 run, not {self.runs}"] if self.runs < 1 else []

    def misfits(self, recipe: Recipe) -> list[str]:
        """What of the recipe it does not go with, one sentence each."""
        blind = recipe.out_of_set is not None and isinstance(recipe.data, Photographs)
        return ["a threshold for images of none of the classes takes images of the classes, too"] if blind else []

    def beyond(self, recipe: Recipe) -> tuple[Any, ...]:
        """The threshold depends on images that no other stage sees.

        Raises:
            DataError: there is no such folder.
        """
        return () if recipe.out_of_set is None else (recipe.out_of_set.open(recipe.input).digest,)

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
        shipped = _evaluate(bundle, context.data["test"])
        counts = {split: len(context.data[split]) for split in SPLITS}
        left_out = [{"path": path, "reason": why} for path, why in context.data.load(context.progress).left_out]
        steps = self._steps(bundle, shipped, artifact.metrics["method"], context)
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
            "confidence": _confidence(bundle, shipped, artifact.metrics, context),
            "steps": steps,
            "candidates": artifact.metrics["candidates"],
            "sensitivity": artifact.metrics["sensitivity"],
            "data": {**counts, "classes": list(context.data.labels), "left_out": left_out},
        }

    def _steps(self, bundle: Bundle, shipped: Evaluation, method: str, context: Context) -> list[dict[str, Any]]:
        """What each stage changed: its network after post-training quantization as it would ship, and what ships."""
        earlier = [
            (stage.name, method, dress(made.files[file].read_bytes(), context, {}))
            for stage, made in zip(context.recipe.stages, context.history, strict=False)
            for file, method in ((FLOAT_FILE, "float"), (PTQ_FILE, "ptq"))
            if file in made.files
        ]
        measured = [*(_evaluate(each, context.data["test"]) for _, _, each in earlier), shipped]
        load = targets.choose().load
        everything = [*earlier, ("convert", method, bundle)]
        stats = interleaved([prepare(load(each.model, threads=1)) for _, _, each in everything], runs=self.runs)
        return [
            {"stage": stage, "method": method, **answers.figures(), **_sizes(each.data), "p50_ms": latency.p50_ms}
            for (stage, method, each), answers, latency in zip(everything, measured, stats, strict=True)
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


def check_promises(
    facts: FileFacts,
    *,
    spec: InputSpec,
    zeros: Mapping[str, NDArray[np.bool_]],
    float_tensors: tuple[str, ...],
    float_operators: int = 0,
    class_maps: bool = False,
) -> None:
    """Hold a file against what is promised of its bytes.

    Args:
        facts: of the file.
        spec: the input that it must have.
        zeros: by layer, where pruning left a zero, in Keras's order of axes.
        float_tensors: names of the tensors that are neither int8 nor int32, exactly.
        float_operators: how many operators the build kept in float, each with the tensors that it takes and makes.
        class_maps: whether there is a second output.

    Raises:
        ModelError: with every promise that is broken.
    """
    broken = (
        _type_problems(facts, float_tensors, float_operators)
        + _input_problems(facts, spec)
        + _output_problems(facts, class_maps)
        + _zero_problems(facts, zeros)
    )
    if broken:
        raise ModelError(
            f"The converted file broke {counted(len(broken), 'promise')}: {'; '.join(broken)}.",
            accepted="int8 and int32 between the casts, the input's scale and zero point, every zero of pruning",
            remedy="name a float tensor that is meant in Verify(float_tensors=...); otherwise report this",
        )


def _type_problems(facts: FileFacts, float_tensors: tuple[str, ...], float_operators: int) -> list[str]:
    expected, problems = Counter(float_tensors), []
    if float_operators:
        expected += Counter({name for tensors in facts.float_operators for name in tensors})
        if len(facts.float_operators) != float_operators:
            problems.append(f"{len(facts.float_operators)} operators are in float, not {float_operators}")
    for tensor in facts.inner:
        if tensor.type not in ("int8", "int32"):
            if not expected[tensor.name]:
                problems.append(f"{tensor.name} is {tensor.type}")
            expected[tensor.name] -= 1  # names may repeat: each is allowed as often as the recipe names it
    return problems + [f"{name} is not float, as the recipe says" for name, left in expected.items() if left > 0]


def _input_problems(facts: FileFacts, spec: InputSpec) -> list[str]:
    image = facts.inputs[0]
    if (image.type, image.scale, image.zero_point) == ("uint8", float(np.float32(spec.scale)), spec.zero_point):
        return []
    wanted = f"uint8 with scale {spec.scale} and zero point {spec.zero_point}"
    return [f"the input is {image.type} with scale {image.scale} and zero point {image.zero_point}, not {wanted}"]


def _output_problems(facts: FileFacts, class_maps: bool) -> list[str]:
    """The scores, and after them the class maps, of 8 bits each."""
    scores, *others = facts.outputs
    problems = [f"{each.name}, an output, is {each.type}" for each in facts.outputs if each.type != "uint8"]
    if not problems and (scores.scale, scores.zero_point) != (1 / 256, 0):
        problems.append(f"the scores have scale {scores.scale} and zero point {scores.zero_point}, not 1/256 and 0")
    if len(others) != class_maps:
        problems.append(f"{counted(len(others), 'output')} beside the scores, not {int(class_maps)}")
    return problems


def _zero_problems(facts: FileFacts, zeros: Mapping[str, NDArray[np.bool_]]) -> list[str]:
    """A layer's pattern of zeros is its fingerprint: each finds a kernel of its own with a zero wherever it has one."""
    wanted = {layer: np.moveaxis(mask, -1, 0) for layer, mask in zeros.items()}
    fitting = {
        layer: [i for i, k in enumerate(facts.kernels) if k.shape == mask.shape and not k[mask].any()]
        for layer, mask in wanted.items()
    }
    owners: dict[int, str] = {}

    def settle(layer: str, asked: set[int]) -> bool:
        """Give a layer a kernel, and the layer that had it another one."""
        for kernel in fitting[layer]:
            if kernel not in asked:
                asked.add(kernel)
                if kernel not in owners or settle(owners[kernel], asked):
                    owners[kernel] = layer
                    return True
        return False

    lost = [layer for layer in sorted(zeros) if not settle(layer, set())]
    return [f"zeros of the layer {layer} are not zeros in the file" for layer in lost]


def _zeros(context: Context) -> dict[str, NDArray[np.bool_]]:
    path = context.latest(ZEROS)
    if path is None:
        return {}
    with np.load(path) as arrays:
        return dict(arrays)


def _confidence(bundle: Bundle, test: Evaluation, metrics: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """How far the scores can be believed, through the file; without labels that is not known."""
    fitted = {"temperature": metrics["temperature"], "temperature_note": metrics["temperature_note"]}
    if not context.data.labelled:
        return {**fitted, **confidence.unknown()}
    strangers, chosen_on = context.out_of_set, 0
    halves: list[Evaluation | None] = [None, None]
    if strangers:
        halves = [_evaluate(bundle, strangers[split]) for split in ("calibration", "test")]
        chosen_on = len(strangers["calibration"])
    level = confidence.threshold(_evaluate(bundle, context.data["validation"]), halves[0])
    uncalibrated = replace(bundle, model=with_beta(bundle.model, metrics["temperature"]))
    before = _evaluate(uncalibrated, context.data["test"])
    found = confidence.figures(level=level, before=before, test=test, strangers=halves[1], chosen_on=chosen_on)
    if advice := confidence.advice(found, context.data.labels):
        context.progress.say(f"verify: {advice}")
    return {**fitted, **found}


def _evaluate(bundle: Bundle, images: Images) -> Evaluation:
    with Classifier(bundle, threads=1) as classifier:
        return evaluate(classifier, zip(images.pixels, images.labels.tolist(), strict=True))


def _sizes(data: bytes) -> dict[str, int]:
    return {"size_bytes": len(data), "gzip_bytes": len(gzip.compress(data, mtime=0))}
