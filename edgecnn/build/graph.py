"""A functional Keras model as a graph: who calls whom, and what a layer is to the one behind it."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

from edgecnn.build.keras import keras, tf


@dataclass(frozen=True)
class Graph:
    """A functional model as calls of layers.

    Attributes:
        nodes: the calls, each after those whose results it takes; the input is none.
        calls: how often each layer is called.
        takers: the layers that take each tensor, by its id; None stands for the model's output.
    """

    nodes: tuple[Any, ...]
    calls: Counter[Any]
    takers: dict[int, list[Any]]

    @classmethod
    def of(cls, model: Any) -> "Graph":
        """The graph of a model."""
        depths = sorted(model._nodes_by_depth, reverse=True)
        nodes = tuple(node for depth in depths for node in model._nodes_by_depth[depth] if not node.is_input)
        takers: dict[int, list[Any]] = defaultdict(list)
        for node in nodes:
            for tensor in tf.nest.flatten((node.call_args, node.call_kwargs)):
                takers[id(tensor)].append(node.layer)
        for tensor in model.outputs:
            takers[id(tensor)].append(None)
        return cls(nodes, Counter(node.layer for node in nodes), takers)

    def taker(self, node: Any) -> Any | None:
        """The layer that alone takes what a call makes, where the layer that makes it is called this once."""
        takers = self.takers[id(node.outputs)]
        return takers[0] if len(takers) == 1 == self.calls[node.layer] else None


def is_of_keras(layer: Any) -> bool:
    """Whether Keras itself defines the class of a layer."""
    return type(layer).__module__.startswith("tf_keras.")


def activation_of(layer: Any) -> str:
    """The name of a layer's activation; ``linear`` if it has none."""
    activation = getattr(layer, "activation", None)
    return getattr(activation, "__name__", type(activation).__name__) if activation else "linear"


def folds(layer: Any) -> bool:
    """Whether a batch norm behind a layer becomes part of its operator."""
    return type(layer) in (keras.layers.Conv2D, keras.layers.DepthwiseConv2D) and activation_of(layer) == "linear"


def made_by(tensor: Any) -> Any:
    """The call that makes a tensor."""
    layer, number, _ = tensor._keras_history
    return layer._inbound_nodes[number]


def is_tensor(value: Any) -> bool:
    """Whether a value is a tensor of a functional model."""
    return hasattr(value, "_keras_history")
