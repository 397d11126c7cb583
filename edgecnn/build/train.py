"""The first stages: train the network in float, perhaps after a larger one that teaches it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from edgecnn.build.recipe import Architecture, Artifact, Context, Kind, Recipe, described
from edgecnn.build.schedule import Schedule
from edgecnn.files import write_atomically

FLOAT_FILE, PTQ_FILE = "float.tflite", "ptq.tflite"


@dataclass(frozen=True, kw_only=True)
class Teach(Schedule):
    """Trains a network that never ships: where a stage has `Distill`, it learns from this one.

    Attributes:
        architecture: a larger network than the recipe's.
    """

    architecture: Architecture

    name: ClassVar[str] = "teach"
    takes: ClassVar[tuple[Kind | None, ...]] = (None,)
    makes: ClassVar[Kind] = "teacher"
    revision: ClassVar[int] = 1

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        problems = super().problems() + self.architecture.problems()
        return [*problems, "Teach has no teacher of its own"] if self.distill else problems

    def beyond(self, recipe: Recipe) -> tuple[Any, ...]:
        """Two kinds of network may have the same settings."""
        return (described(self.architecture),)

    def check(self, model: Any, context: Context) -> None:
        """Make sure that the teacher can be built and answers for the data's classes.

        Raises:
            ModelError: it does not fit the data.
        """
        from edgecnn.build import models

        models.check_shape(models.build(self.architecture, context), context)

    def run(self, artifact: Artifact | None, context: Context) -> Artifact:
        """Leaves the teacher's configuration and weights."""
        from edgecnn.build import models

        model, history = _train(self.architecture, context, self)
        files = models.save_model(model, context.workspace, models.TEACHER)
        return Artifact(kind=self.makes, files=files, metrics={"history": history})


@dataclass(frozen=True, kw_only=True)
class Train(Schedule):
    """Cross-entropy on the training split, from scratch; see `Schedule`."""

    name: ClassVar[str] = "train"
    takes: ClassVar[tuple[Kind | None, ...]] = (None, "teacher")
    makes: ClassVar[Kind] = "keras"
    revision: ClassVar[int] = 1

    def run(self, artifact: Artifact | None, context: Context) -> Artifact:
        """Leaves the model's configuration, its weights and its float ``.tflite``, the baseline of comparisons."""
        model, history = _train(context.recipe.architecture, context, self)
        return Artifact(kind=self.makes, files=leave(model, context), metrics={"history": history})


def leave(model: Any, context: Context) -> dict[str, Path]:
    """Write the first float network of a build: configuration, weights, float ``.tflite`` and PTQ file."""
    from edgecnn.build import converter, models

    files = models.save_model(model, context.workspace)
    write_atomically(path := context.workspace / FLOAT_FILE, converter.float_file(model))
    return {**files, FLOAT_FILE: path, **converter.save_ptq(model, context)}


def _train(architecture: Architecture, context: Context, schedule: Schedule) -> tuple[Any, list[dict[str, float]]]:
    from edgecnn.build import fitting, models

    model = models.build(architecture, context)
    return model, fitting.fit(model, context, schedule)
