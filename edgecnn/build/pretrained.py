"""The stage that takes a network as somebody has trained it, with all of its classes."""

from dataclasses import dataclass
from typing import Any, ClassVar

from edgecnn.build.recipe import Artifact, Context, Kind, Recipe
from edgecnn.build.start import Given, Start, give
from edgecnn.build.train import leave
from edgecnn.errors import ModelError


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """Takes the recipe's network with weights that were trained before, in the place of training.

    Attributes:
        start: where the weights come from; every layer must have some.
    """

    start: Start

    name: ClassVar[str] = "pretrained"
    takes: ClassVar[tuple[Kind | None, ...]] = (None, "teacher")
    makes: ClassVar[Kind] = "keras"
    revision: ClassVar[int] = 1

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        return self.start.problems()

    def misfits(self, recipe: Recipe) -> list[str]:
        """What of a recipe the weights do not go with, one sentence each."""
        return self.start.misfits(recipe)

    def beyond(self, recipe: Recipe) -> tuple[Any, ...]:
        """The weights.

        Raises:
            MissingExtraError, UsageError: they are not there, or are not the right ones.
        """
        return (self.start.digest(recipe),)

    def check(self, model: Any, context: Context) -> None:
        """Make sure that every layer of a network of that architecture has weights.

        Raises:
            ModelError: one has none.
        """
        given = Given.of(model, self.start.arrays(context.recipe))
        if given.fresh:
            classes = len(context.data.labels)
            raise ModelError(
                "The weights are not those of the whole network.",
                received=f"none that fit {', '.join(given.fresh)}; the data has {classes} classes",
                accepted="weights of every layer: those of ImageNet have 1000 classes",
                remedy="data of the classes that the network knows, or FineTune, which trains what has no weights",
            )

    def run(self, artifact: Artifact | None, context: Context) -> Artifact:
        """Leaves what `edgecnn.build.train.Train` leaves."""
        from edgecnn.build import models

        arrays = self.start.arrays(context.recipe)  # before the session in which the network is built
        model = models.build(context.recipe.architecture, context)
        given = give(model, arrays)
        return Artifact(
            kind=self.makes,
            files=leave(model, context),
            metrics={"start": given.as_json(self.start, context.recipe)},
        )
