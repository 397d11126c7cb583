"""What a training may start from instead of chance: the weights of a network that was trained before."""

from collections.abc import Mapping
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
    """What became of weights.

    Attributes:
        taken: the layers that have them.
        fresh: those that begin at random: the weights have no layer of that name and those shapes.
    """

    taken: tuple[str, ...]
    fresh: tuple[str, ...]

    def as_json(self, start: Start, recipe: Recipe) -> dict[str, Any]:
        """What the report says of it."""
        known = {"source": start.source, "digest": start.digest(recipe)}
        return {**known, "layers_taken": len(self.taken), "layers_fresh": list(self.fresh)}


def give(model: Any, arrays: Mapping[str, list[NDArray[Any]]]) -> Given:
    """Set the weights of every layer that there are some for, of its name and its shapes; the others stay."""
    taken, fresh = [], []
    for layer in model.layers:
        given = arrays.get(layer.name, [])
        if not layer.weights:
            continue
        if [array.shape for array in given] == [tuple(each.shape) for each in layer.weights]:
            layer.set_weights(given)
            taken.append(layer.name)
        else:
            fresh.append(layer.name)
    return Given(taken=tuple(taken), fresh=tuple(fresh))
