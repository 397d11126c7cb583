"""Which channels of a network belong together, what they cost, and the network without some of them.

Every tensor of the graph carries the vector of its channels' ids. A convolution makes new ids; a batch norm, an
activation, a pooling or a depthwise convolution hands them on; an addition or a multiplication makes two vectors one;
a concatenation joins vectors; a flattening repeats one for each pixel. What then has one id must go together, so that
residual sums, dense connections and squeeze-and-excite need no rule of their own. The idea of following dependencies
through the graph is that of DepGraph (Fang et al. 2023, arXiv:2301.12900).
"""

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.build.graph import Graph, is_tensor
from edgecnn.build.keras import keras, tf
from edgecnn.build.recipe import counted
from edgecnn.errors import ModelError

Ids = NDArray[np.int64]
Alive = NDArray[np.bool_]

_HANDED_ON = (
    *("Activation", "ReLU", "LeakyReLU", "PReLU", "HardSwish", "Softmax", "BatchNormalization", "Rescaling"),
    *("AveragePooling2D", "MaxPooling2D", "GlobalAveragePooling2D", "GlobalMaxPooling2D"),
    *("Cropping2D", "UpSampling2D", "ZeroPadding2D"),
    *("Dropout", "SpatialDropout2D", "GaussianDropout", "GaussianNoise"),
)
_JOINED = ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a network takes.

    Attributes:
        macs: multiplications with accumulation of one image, in convolutions and dense layers.
        size_bytes: of its weights in an int8 file: kernels, and 8 bytes (bias and scale) an output channel.
    """

    macs: int
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Group:
    """Channels that are made by the same layers, each of which can be removed by itself.

    Attributes:
        layers: names of the layers that make them.
        ids: (n,) int64.
    """

    layers: tuple[str, ...]
    ids: Ids


@dataclass(frozen=True, kw_only=True)
class _Site:
    """A layer in its place: the ids of the channels that go in and that come out, and how many outputs each makes."""

    layer: Any
    taken: Ids
    made: Ids
    pixels: int


@dataclass
class _Unions:
    """Sets of ids that grow together (union-find)."""

    parents: list[int] = field(default_factory=list)

    def new(self, count: int) -> Ids:
        first = len(self.parents)
        self.parents.extend(range(first, first + count))
        return np.arange(first, first + count)

    def root(self, item: int) -> int:
        while self.parents[item] != item:
            self.parents[item] = item = self.parents[self.parents[item]]
        return item

    def join(self, left: Ids, right: Ids) -> None:
        for a, b in zip(left.tolist(), right.tolist(), strict=True):
            a, b = self.root(a), self.root(b)
            self.parents[max(a, b)] = min(a, b)

    def roots(self, items: Ids) -> Ids:
        return np.array([self.root(item) for item in items.tolist()], np.int64)


class Channels:
    """The channels of a flat, canonical Keras model, which is not changed.

    Args:
        model: (batch, height, width, channels) float32 to (batch, classes); see `edgecnn.build.canonical`.

    Attributes:
        groups: what can be removed, in the order of the graph.
        count: how many ids there are.

    Raises:
        ModelError: a layer whose channels cannot be followed; every one is named.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._unions = _Unions()
        self._vectors: dict[int, Ids] = {}
        self._sites: dict[str, _Site] = {}
        self._fixed: list[Ids] = []
        for image in model.inputs:
            self._vectors[id(image)] = made = self._unions.new(image.shape[-1])
            self._fixed.append(made)
        refused = [reason for node in Graph.of(model).nodes if (reason := self._follow(node))]
        if refused:
            raise ModelError(
                f"Channels cannot be removed from this network: {counted(len(refused), 'layer')} cannot be followed.",
                received="; ".join(refused),
                accepted="Conv2D, DepthwiseConv2D, Dense, pooling, batch norm, activations, Add, Multiply, Concatenate",
                remedy="replace these layers, or leave out PruneChannels",
            )
        self._fixed += [self._vectors[id(tensor)] for tensor in model.outputs]
        self.count = len(self._unions.parents)
        self._settle()
        self.groups = self._grouped()

    def made_by(self, layer: str) -> Ids:
        """The ids of the channels that a layer puts out."""
        return self._sites[layer].made

    def cost(self, alive: Alive) -> Cost:
        """What the network takes with these channels alone; ``alive`` is (count,) bool."""
        macs = size = 0
        for site in self._sites.values():
            if (kernel := _kernel(site.layer)) is not None:
                taken, made = int(alive[site.taken].sum()), int(alive[site.made].sum())
                weights = prod(kernel.shape[:2]) * made if _is_depthwise(site.layer) else _area(kernel) * taken * made
                macs += weights * site.pixels
                size += weights + 8 * made
        return Cost(macs=macs, size_bytes=size)

    def without(self, alive: Alive) -> Any:
        """A new model of the channels that are alive, with the weights that they have here."""

        def smaller(layer: Any) -> Any:
            return type(layer).from_config({**layer.get_config(), **self._sizes(layer, alive)})

        model = keras.models.clone_model(self._model, clone_function=smaller)
        for layer in model.layers:
            if layer.weights:
                layer.set_weights(self._sliced(self._sites[layer.name], alive))
        return model

    def _sizes(self, layer: Any, alive: Alive) -> dict[str, Any]:
        """The settings of a layer that name a number of channels."""
        if layer.name not in self._sites:
            return {}
        made = int(alive[self._sites[layer.name].made].sum())
        if type(layer).__name__ == "Conv2D":
            return {"filters": made}
        if type(layer).__name__ == "Dense":
            return {"units": made}
        if type(layer).__name__ == "Reshape":
            return {"target_shape": (*layer.target_shape[:-1], made)}
        return {}

    def _sliced(self, site: _Site, alive: Alive) -> list[Any]:
        taken, made = alive[site.taken], alive[site.made]
        weights = site.layer.get_weights()
        kernel = _kernel(site.layer)
        if kernel is None:  # a vector for each channel: batch norm, PReLU
            return [array[..., made] for array in weights]
        first = weights[0][..., taken, :] if _is_depthwise(site.layer) else weights[0][..., taken, :][..., made]
        return [first, *(bias[made] for bias in weights[1:])]

    def _follow(self, node: Any) -> str | None:
        """Give the outputs of a call their channels; what is in the way, if anything is."""
        layer, given = node.layer, [each for each in tf.nest.flatten(node.call_args) if is_tensor(each)]
        taken = [self._vectors[id(tensor)] for tensor in given if id(tensor) in self._vectors]
        if len(taken) < len(given):
            return None  # behind a layer that is refused already
        found = self._made(layer, taken, node)
        if isinstance(found, str):
            return f"{layer.name} ({type(layer).__name__}: {found})"
        if layer.name in self._sites:  # a layer that is called again has the same channels again
            before = self._sites[layer.name]
            self._unions.join(before.taken, taken[0])
            self._unions.join(before.made, found)
        pixels = prod(node.outputs.shape[1:-1])
        self._sites[layer.name] = _Site(layer=layer, taken=taken[0], made=found, pixels=pixels)
        self._vectors[id(node.outputs)] = found
        return None

    def _made(self, layer: Any, taken: list[Ids], node: Any) -> Ids | str:
        kind = type(layer).__name__
        if getattr(layer, "data_format", None) == "channels_first":
            return "channels come first"
        if kind == "Conv2D" and layer.groups == 1:
            return self._unions.new(layer.filters)
        if kind == "Dense":
            return self._unions.new(layer.units)
        if kind == "ChannelPooling":  # each channel takes part in the result
            self._fixed.append(taken[0])
            return self._unions.new(1)
        if kind == "DepthwiseConv2D":
            return np.repeat(taken[0], layer.depth_multiplier)
        if kind == "Flatten" or (kind == "Reshape" and len(node.outputs.shape) == 2):
            return np.tile(taken[0], node.outputs.shape[-1] // len(taken[0]))
        if kind in _HANDED_ON or (kind == "Reshape" and node.outputs.shape[-1] == len(taken[0])):
            return taken[0]
        if kind in _JOINED:
            return self._joined(taken)
        if kind == "Concatenate":
            last = layer.axis in (-1, len(node.outputs.shape) - 1)
            return np.concatenate(taken) if last else self._joined(taken)
        return "its channels cannot be followed"

    def _joined(self, taken: list[Ids]) -> Ids:
        widest = max(taken, key=len)
        for vector in taken:
            if len(vector) == len(widest):
                self._unions.join(widest, vector)
            else:  # one channel for all
                self._fixed.append(vector)
        return widest

    def _settle(self) -> None:
        """From here on every id is that of its set."""
        roots = self._unions.roots
        self._fixed = [roots(vector) for vector in self._fixed]
        self._sites = {
            name: _Site(layer=site.layer, taken=roots(site.taken), made=roots(site.made), pixels=site.pixels)
            for name, site in self._sites.items()
        }

    def _grouped(self) -> tuple[Group, ...]:
        makers: dict[int, list[str]] = {}
        for name, site in self._sites.items():
            if type(site.layer).__name__ in ("Conv2D", "Dense"):
                for item in dict.fromkeys(site.made.tolist()):
                    makers.setdefault(item, []).append(name)
        fixed = {item for vector in self._fixed for item in vector.tolist()}
        members: dict[tuple[str, ...], list[int]] = {}
        for item, names in makers.items():
            if item not in fixed:
                members.setdefault(tuple(names), []).append(item)
        return tuple(Group(layers=names, ids=np.array(items, np.int64)) for names, items in members.items())


def _kernel(layer: Any) -> Any | None:
    return layer.depthwise_kernel if _is_depthwise(layer) else getattr(layer, "kernel", None)


def _is_depthwise(layer: Any) -> bool:
    return isinstance(layer, keras.layers.DepthwiseConv2D)


def _area(kernel: Any) -> int:
    """Of a convolution's kernel in pixels; 1 for a dense layer."""
    return prod(kernel.shape[:-2])
