"""A user's own trained network: what it is, what its input means, and the stage that a build of it begins with."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from edgecnn.build import keras_file
from edgecnn.build.cache import Cache
from edgecnn.build.data import Dataset
from edgecnn.build.finetune import FineTune
from edgecnn.build.pretrained import Pretrained
from edgecnn.build.recipe import Artifact, Context, Kind, Recipe
from edgecnn.build.train import Teach, Train, leave
from edgecnn.build.versions import versions
from edgecnn.errors import ModelError, UsageError
from edgecnn.preprocess import InputSpec
from edgecnn.progress import Progress

# What a network sees of a pixel: (pixel - zero point) * scale. A middle of 127.5 is half a grey level off 128.
RANGES = {"0..255": (1.0, 0), "0..1": (1 / 255, 0), "-1..1": (1 / 127.5, 128)}


@dataclass(frozen=True, kw_only=True)
class Own:
    """A Keras 2 file of the user's; see `edgecnn.build.keras_file`. As an architecture, it comes with its weights.

    Attributes:
        path: of the file.
        sha256: of its bytes, which are what a build depends on.
    """

    path: str = field(metadata={"decides": False})
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "Own":
        """The file at a path, looked at without TensorFlow.

        Raises:
            UsageError, ModelError, MissingExtraError: see `edgecnn.build.keras_file.check`.
        """
        keras_file.check(path)
        return cls(path=str(path), sha256=_digest(path))

    def problems(self) -> list[str]:
        """Nothing can be wrong that reading it would not say."""
        return []

    def build(self, spec: InputSpec, classes: int) -> Any:
        """See `edgecnn.build.recipe.Architecture`; the network is flat and ends in logits.

        Raises:
            ModelError: the file cannot be read, flattened, or is no classifier.
        """
        return self.network()[0]

    def network(self) -> tuple[Any, dict[str, InputSpec]]:
        """The flat network, to logits, and its input for each range of pixels that it can have been trained on.

        Raises:
            ModelError: see `build`.
            UsageError: the file is another one than it was.
        """
        from edgecnn.build.ends import bare
        from edgecnn.build.flatten import flatten

        between = bare(flatten(keras_file.read(Path(self.path))))
        if _digest(Path(self.path)) != self.sha256:
            raise UsageError(
                "The model file was changed during the build.",
                received=self.path,
                accepted="a file that stays as it is",
                remedy="run the command again",
            )
        return between.model, _specs(between.model.input_shape[1:], between.scale, between.offset)


@dataclass(frozen=True, kw_only=True)
class Adopt:
    """Takes the user's trained network in the place of training.

    Attributes:
        input_range: what its images were in training; it is in the recipe's input, and here for the record.
        tried: the accuracy on validation with each range, where the user did not say which it is.
    """

    input_range: str
    tried: Mapping[str, float] = field(default_factory=dict)

    name: ClassVar[str] = "adopt"
    takes: ClassVar[tuple[Kind | None, ...]] = (None,)
    makes: ClassVar[Kind] = "keras"
    revision: ClassVar[int] = 1

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        return [] if self.input_range in RANGES else [f"an input range is one of {', '.join(RANGES)}"]

    def run(self, artifact: Artifact | None, context: Context) -> Artifact:
        """Leaves the model's configuration, its weights, its float ``.tflite`` and its PTQ file."""
        from edgecnn.build import models

        model = models.build(context.recipe.architecture, context)
        return Artifact(kind=self.makes, files=leave(model, context))


def adopted(recipe: Recipe, path: Path, input_range: str | None, progress: Progress) -> Recipe:
    """A recipe that begins with a user's trained network; its other stages stay as they are.

    Args:
        recipe: gives the data and the stages after training.
        path: of the Keras file.
        input_range: one of `RANGES`; None tries all of them on the validation split. What was found is kept in the
            cache.
        progress: told of the accuracies.

    Raises:
        UsageError, MissingExtraError: see `Own`; UsageError also where the network cannot have been trained on that
            range.
        ModelError: see `Own`; also where the network does not fit the data.
        DataError: the data cannot be split.
    """
    own, cache = Own.of(path), Cache()
    data = recipe.data.open(recipe.input)
    question = json.dumps(["input range", own.sha256, input_range, recipe.input.resize, data.digest, versions()])
    key = hashlib.sha256(question.encode()).hexdigest()[:32]
    with cache.locked(key, progress):
        if (known := cache.find(key)) is None:
            found = _found(own, recipe, data, input_range, progress)
            cache.workspace(key)
            known = cache.keep(Artifact(kind="keras", files={}, metrics=found, key=key))
    adopt = Adopt(input_range=known.metrics["range"], tried=known.metrics["tried"])
    _tell(adopt, data, progress)
    trained = [stage for stage in recipe.stages if not isinstance(stage, Teach | Train | FineTune | Pretrained)]
    spec = InputSpec.from_json(known.metrics["spec"])
    return replace(recipe, architecture=own, input=spec, stages=(adopt, *trained))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _specs(shape: tuple[Any, ...], scale: float, offset: float) -> dict[str, InputSpec]:
    """The input for each range; without those whose zero would be no pixel."""
    specs = {}
    for name, (pixel_scale, zero_point) in RANGES.items():
        seen = pixel_scale * scale
        middle = round(zero_point - offset / seen) if seen > 0 else -1
        if 0 <= middle <= 255:
            height, width, channels = shape
            specs[name] = InputSpec(height=height, width=width, channels=channels, scale=seen, zero_point=middle)
    return specs


def _found(own: Own, recipe: Recipe, data: Dataset, input_range: str | None, progress: Progress) -> dict[str, Any]:
    """The range that was said, or the one of the best accuracy on the validation split, and the input it makes."""
    from edgecnn.build import canonical, quantizable

    progress.update(0, 0, "reading the model")
    model, specs = own.network()
    _check_fits(model, data)
    if any(stage.makes == "qat" for stage in recipe.stages):
        quantizable.check(canonical.canonical(model))
    if not specs or input_range not in (None, *specs):
        raise UsageError(
            "The network cannot have been trained on images of this range: it prepares them itself.",
            received=input_range or "none of the ranges that edgecnn knows",
            accepted=", ".join(specs) or "a network whose own preparation makes some grey level zero",
            remedy="leave out --input-range" if specs else "prepare images before the network, and save it without",
        )
    specs = {name: replace(spec, resize=recipe.input.resize) for name, spec in specs.items()}
    tried = {} if input_range else _tried(model, specs, recipe, progress)
    best = input_range or max(tried, key=lambda name: tried[name])
    return {"range": best, "tried": tried, "spec": specs[best].as_json()}


def _check_fits(model: Any, data: Dataset) -> None:
    classes = model.output_shape[-1]
    if classes != len(data.labels):
        raise ModelError(
            "The network does not fit the data.",
            received=f"a network of {classes} classes, and {len(data.labels)} folders of images",
            accepted=f"one score for each of {', '.join(data.labels[:12])}{', ...' * (len(data.labels) > 12)}",
            remedy="give --data the classes that the network knows, all of them, in the order of their sorted names",
        )


def _tried(model: Any, specs: dict[str, InputSpec], recipe: Recipe, progress: Progress) -> dict[str, float]:
    """The accuracy on the validation split with each input."""
    from edgecnn.build import feed

    data = recipe.data.open(next(iter(specs.values())))
    data.load(progress)
    images = data["validation"]
    progress.update(0, 0, "trying what the images were in training")
    return {
        name: round(float((feed.predict(model, images, spec).argmax(axis=1) == images.labels).mean()), 6)
        for name, spec in specs.items()
    }


def _tell(adopt: Adopt, data: Dataset, progress: Progress) -> None:
    best = adopt.input_range
    if adopt.tried:
        told = ", ".join(f"{name} {accuracy:.4f}" for name, accuracy in adopt.tried.items())
        progress.say(f"input range: {told} on validation; {best} is taken (--input-range says another)")
        if adopt.tried[best] <= 1.5 / len(data.labels):
            progress.say("that is hardly better than guessing: are the classes the sorted names of the folders?")
    if data.rule.test:
        progress.say(
            "the network may have been trained on photos that are in the test split here, which makes it look better "
            "than it is: a folder with train/ and test/ keeps yours"
        )
