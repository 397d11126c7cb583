"""Keras to an int8 ``.tflite``: the better of what there is."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from edgecnn.build.dress import dress
from edgecnn.build.quantize import QAT_WEIGHTS
from edgecnn.build.recipe import Artifact, Context, Kind, Recipe
from edgecnn.build.train import FLOAT_FILE
from edgecnn.evaluation import evaluate
from edgecnn.files import replacing, write_atomically
from edgecnn.inference import Classifier
from edgecnn.progress import Count

if TYPE_CHECKING:
    from edgecnn.build.sensitivity import Sensitivity
    from edgecnn.build.temperature import Temperature

INT8_FILE, KERAS_LOGITS = "int8.tflite", "keras_logits.npy"
_SAMPLES = 64  # calibration images that the cost of each layer is measured on


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A file that might ship.

    Attributes:
        method: ``ptq``, ``ptq-refined`` (other ranges, biases), ``qat``, or ``mixed`` where some layers stay in float.
        file: the flatbuffer.
        model: the Keras model that it was converted from.
        val_accuracy: of the file, on the validation split; None where that has no labels.
        temperature: what the model's logits were divided by.
        float_layers: names of the layers that stay in float.
        float_operators: how many operators of the file they are.
    """

    method: str
    file: bytes
    model: Any
    val_accuracy: float | None
    temperature: "Temperature"
    float_layers: tuple[str, ...] = ()
    float_operators: int = 0

    def as_json(self) -> dict[str, Any]:
        """What the report says of it."""
        facts = {"method": self.method, "val_accuracy": self.val_accuracy, "size_bytes": len(self.file)}
        facts |= {"temperature": self.temperature.value, "temperature_note": self.temperature.note}
        return {**facts, "float_layers": list(self.float_layers), "float_operators": self.float_operators}


@dataclass(frozen=True, kw_only=True)
class Convert:
    """Quantizes what came before after training, and takes a quantization-aware model as it is, where there is one.

    All files are measured on the validation split, and the best one ships. Where there are labels, the scores of each
    are calibrated by a temperature; see `edgecnn.build.temperature`.

    Attributes:
        ranges: of a second post-training quantization: ``minmax``, what calibration saw, or ``mse``, those of the
            least error.
        correct_biases: of that one, too: make up for what rounding the kernels adds in the mean; for both see
            `edgecnn.build.post_training.refined`.
        float_layers: where the gate ``drop`` of the recipe is missed on the validation split, up to so many of the
            most sensitive layers that have a kernel stay in float.
        class_maps: the file also says where it looks, by a second output; see `edgecnn.build.class_maps`.
    """

    ranges: Literal["minmax", "mse"] = "minmax"
    correct_biases: bool = False
    float_layers: int = 0
    class_maps: bool = False

    name: ClassVar[str] = "convert"
    takes: ClassVar[tuple[Kind | None, ...]] = ("keras", "qat")
    makes: ClassVar[Kind] = "tflite"
    revision: ClassVar[int] = 5

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        problems = []
        if self.float_layers < 0:
            problems.append(f"Convert takes float_layers of 0 and more, not {self.float_layers}")
        if self.ranges not in ("minmax", "mse"):
            problems.append(f"Convert takes the ranges minmax or mse, not {self.ranges!r}")
        return problems

    def beyond(self, recipe: Recipe) -> tuple[Any, ...]:
        """Which layers stay in float depends on what the recipe allows to be lost."""
        return tuple(asdict(gate) for gate in recipe.gates if self.float_layers and gate.name == "drop")

    def check(self, model: Any, context: Context) -> None:
        """Make sure that a network has class maps, where they are wanted.

        Raises:
            ModelError: it has none.
        """
        from edgecnn.build import class_maps

        if self.class_maps:
            class_maps.check(model)

    def run(self, artifact: Artifact | None, context: Context) -> Artifact:
        """Leaves the bare flatbuffer, and the logits of the Keras model that it was made of on the test split."""
        from edgecnn.build import feed, models
        from edgecnn.build.rounding import KERNELS
        from edgecnn.build.sensitivity import sensitivity
        from edgecnn.build.temperature import calibrate

        model, calibration = models.load_model(context), context.data["calibration"]
        temperature = calibrate(model, context)
        costs = sensitivity(
            model, context.recipe.input, np.asarray(calibration.sample(_SAMPLES).pixels), context.progress
        )
        context.progress.update(0, 0, "converting")
        candidates = self._candidates(model, temperature, context)
        wanted = _wanted_accuracy(context)
        with_kernel = [cost for cost in costs if type(model.get_layer(cost.layer)).__name__ in KERNELS]
        for count in range(1, min(self.float_layers, len(with_kernel)) + 1):
            if (_best(candidates).val_accuracy or 0.0) >= wanted:
                break
            candidates.append(self._mixed(model, temperature, with_kernel[:count], context))
        best = _best(candidates)
        context.progress.say(f"convert: {_told(candidates)}; {best.method} ships")
        if context.data.labelled and best.temperature.note:
            context.progress.say(f"convert: the temperature is {best.temperature.value:g}: {best.temperature.note}")
        files = {INT8_FILE: context.workspace / INT8_FILE, KERAS_LOGITS: context.workspace / KERAS_LOGITS}
        write_atomically(files[INT8_FILE], best.file)
        with replacing(files[KERAS_LOGITS]) as beside, beside.open("wb") as file:
            test = context.data["test"]
            np.save(file, feed.predict(best.model, test, context.recipe.input, progress=context.progress))
        facts = {
            "candidates": [each.as_json() for each in candidates],
            "sensitivity": [asdict(cost) for cost in costs],
            "class_maps": self.class_maps,
        }
        return Artifact(kind=self.makes, files=files, metrics={**best.as_json(), **facts})

    def _candidates(self, model: Any, temperature: "Temperature", context: Context) -> list[Candidate]:
        """What can be made without training comes first, of that the better idea; of equal ones it ships."""
        from edgecnn.build import class_maps, converter, fake_quantization, models
        from edgecnn.build.temperature import calibrate

        spec, calibration = context.recipe.input, context.data["calibration"].pixels
        shipped = class_maps.added(model) if self.class_maps else model
        found = []
        if refined := self.ranges != "minmax" or self.correct_biases:
            better = converter.ptq_file(
                shipped,
                spec,
                calibration,
                ranges=self.ranges,
                correct_biases=self.correct_biases,
                progress=context.progress,
            )
            found.append(_measured("ptq-refined", better, model, temperature, context))
        if not refined or len(context.data["validation"]):  # without labels nothing could prefer it
            file = converter.ptq_file(shipped, spec, calibration, progress=context.progress)
            found.append(_measured("ptq", file, model, temperature, context))
        if weights := context.latest(QAT_WEIGHTS):
            aware = fake_quantization.of(model, spec)
            models.load_weights(aware, weights)
            own = calibrate(aware, context, like=model)
            found.append(_measured("qat", self._qat_file(aware, model, context), aware, own, context))
        return found

    def _mixed(
        self, model: Any, temperature: "Temperature", costs: Sequence["Sensitivity"], context: Context
    ) -> Candidate:
        from edgecnn.build import fake_quantization

        layers = tuple(member for cost in costs for member in cost.members)
        aware = fake_quantization.of(model, context.recipe.input, float_layers=frozenset(layers))
        fake_quantization.calibrate(aware, model, context.recipe.input, context.data["calibration"].pixels)
        quantized = _measured("mixed", self._qat_file(aware, model, context), aware, temperature, context)
        return replace(quantized, float_layers=layers, float_operators=len(costs))

    def _qat_file(self, aware: Any, model: Any, context: Context) -> bytes:
        from edgecnn.build import class_maps, converter

        if not self.class_maps:
            return converter.qat_file(aware)
        calibration = context.data["calibration"].pixels
        return converter.qat_file(class_maps.added_aware(aware, model, context.recipe.input, calibration))


def _measured(method: str, file: bytes, model: Any, temperature: "Temperature", context: Context) -> Candidate:
    accuracy = _val_accuracy(file, context)
    return Candidate(method=method, file=file, model=model, val_accuracy=accuracy, temperature=temperature)


def _val_accuracy(file: bytes, context: Context) -> float | None:
    images = context.data["validation"]
    if not len(images):
        return None
    with Classifier(dress(file, context, {}), threads=1) as classifier:
        count = Count(context.progress, len(images), "the file's answers on validation")
        return evaluate(classifier, count.over(zip(images.pixels, images.labels.tolist(), strict=True))).accuracy


def _wanted_accuracy(context: Context) -> float:
    """On the validation split, by the recipe's gate on the drop; 0 where it has none."""
    gate = next((gate for gate in context.recipe.gates if gate.name == "drop"), None)
    baseline = context.latest(FLOAT_FILE)
    if gate is None or baseline is None or (accuracy := _val_accuracy(baseline.read_bytes(), context)) is None:
        return 0.0
    return accuracy - gate.allowed(len(context.data["validation"]))


def _best(candidates: list[Candidate]) -> Candidate:
    """The one of the highest accuracy; of equal ones, or where it is not known, the first, which is the simpler one."""
    return max(candidates, key=lambda each: each.val_accuracy or 0.0)


def _told(candidates: list[Candidate]) -> str:
    known = [f"{each.method} {each.val_accuracy:.4f}" for each in candidates if each.val_accuracy is not None]
    return ", ".join(known) + " on validation" if known else "no labels to choose by"
