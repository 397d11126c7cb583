"""What a training may start from instead of chance: the weights of a network that was trained before."""

from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from edgecnn.build.recipe import Recipe

Arrays = dict[str, list[NDArray[Any]]]  # by the name of the layer, in Keras's order and shapes


class Start(Protocol):
    """Where weights come from: a frozen dataclass of settings.

    Attributes:
        source: the kind, for the manifest, where the settings of a stage are.
    """

    source: str

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""

    def misfits(self, recipe: Recipe) -> list[str]:
        """What of a recipe these weights do not go with, one sentence each."""

    def digest(self, recipe: Recipe) -> str:
        """What the weights for a recipe are known by; looked at before any work, and loads no TensorFlow.

        Raises:
            MissingExtraError, UsageError: they are not there, or are not the right ones.
        """

    def arrays(self, recipe: Recipe) -> Arrays:
        """The weights of each layer of the recipe's network, by its name. Networks are built in Keras's session.

        Raises:
            MissingExtraError, UsageError, ModelError: they cannot be had, or read.
        """


@dataclass(frozen=True, kw_only=True)
class Given:
    """What weights there are for a network.

    Attributes:
        taken: the layers that have some of their name and their shapes, by name.
        fresh: those that have none, and begin at random.
    """

    taken: tuple[str, ...]
    fresh: tuple[str, ...]

    @classmethod
    def of(cls, model: Any, arrays: Arrays) -> "Given":
        """For a Keras model; it is not changed."""
        shapes = {layer.name: [tuple(each.shape) for each in layer.weights] for layer in model.layers if layer.weights}
        fits = {name: [each.shape for each in arrays.get(name, [])] == wanted for name, wanted in shapes.items()}
        return cls(taken=tuple(n for n in fits if fits[n]), fresh=tuple(n for n in fits if not fits[n]))

    def as_json(self, start: Start, recipe: Recipe) -> dict[str, Any]:
        """What the report says of it."""
        known = {"source": start.source, "digest": start.digest(recipe)}
        return {**known, "layers_taken": len(self.taken), "layers_fresh": list(self.fresh)}


def give(model: Any, arrays: Arrays) -> Given:
    """Set the weights of every layer of a Keras model that there are some for; the others stay."""
    given = Given.of(model, arrays)
    for name in given.taken:
        model.get_layer(name).set_weights(arrays[name])
    return given
