"""One way to write a network: what Keras spells in many ways becomes layers that all of the build knows.

Channel pruning, sensitivity and quantization then know few layers each, and every operator of the file has a layer of
its own, which is where quantization-aware training rounds.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import isclose
from typing import Any

import numpy as np

from edgecnn.build.custom_layers import HardSwish
from edgecnn.build.graph import Graph, activation_of, folds, is_of_keras, made_by
from edgecnn.build.keras import keras, tf
from edgecnn.build.operations import operation
from edgecnn.errors import ModelError

layers = keras.layers

FUSED = ("linear", "relu")  # activations that a convolution or a dense layer has inside its operator
_ACTIVATIONS: dict[str, tuple[Any, dict[str, Any]]] = {
    "relu": (layers.ReLU, {}),
    "relu6": (layers.ReLU, {"max_value": 6.0}),
    "softmax": (layers.Softmax, {}),
    **{name: (layers.Activation, {"activation": name}) for name in ("gelu", "sigmoid", "tanh")},
    **{name: (layers.Activation, {"activation": "swish"}) for name in ("silu", "swish")},
}


def canonical(model: Any) -> Any:
    """The same network in the layers that `edgecnn.build.quantizable` and `edgecnn.build.channels` know.

    Operations (``x * y``, ``tf.nn.relu6(x)``, ``tf.reduce_mean(x, [1, 2])``) become layers; a sum of three becomes two
    sums; a separable convolution its two convolutions; an activation inside a layer, where TFLite has none inside, a
    layer; arithmetic with constants a `Rescaling`, or a depthwise convolution where each channel has a constant of its
    own; hard-swish one layer. A batch norm that is not behind a convolution gets one of 1x1 before it, of ones that are
    not trained. What is not known stays as it is, for `edgecnn.build.quantizable.check` to name.

    Args:
        model: flat and functional, one input and one output; it is not changed.

    Returns:
        A new model, with the names and weights of the layers that stay; the model itself if nothing is to be done.

    Raises:
        ModelError: the outputs are not the same but for rounding.
    """
    graph = Graph.of(model)
    rewriting = Rewriting(graph)
    image = layers.Input(batch_shape=model.input_shape, name=model.input_names[0], dtype=model.inputs[0].dtype)
    new = {id(model.inputs[0]): image}  # by id: `==` of Keras tensors is a layer
    for node in graph.nodes:
        given = (node.call_args, node.call_kwargs)
        args, kwargs = tf.nest.map_structure(lambda each: new.get(id(each), each), given)
        new[id(node.outputs)] = rewriting.call(node, args, kwargs)
    made = keras.Model(image, new[id(model.outputs[0])], name=model.name)
    if [(layer.name, type(layer)) for layer in made.layers] == [(layer.name, type(layer)) for layer in model.layers]:
        return model
    _prove(model, made)
    return made


@dataclass
class Rewriting:
    """The new layers that the rules have made."""

    graph: Graph
    made: dict[Any, Any] = field(default_factory=dict)
    current: str = ""

    def call(self, node: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """What a call of the old model is in the new one, where it takes these arguments."""
        self.current = node.layer.name
        rule = _RULES.get(type(node.layer).__name__) if is_of_keras(node.layer) else None
        result = rule(self, node, args, kwargs) if rule else None
        return self.kept(node.layer, *args, **kwargs) if result is None else result

    def kept(self, layer: Any, *args: Any, changes: dict[str, Any] | None = None, **kwargs: Any) -> Any:
        """What the copy of a layer makes; a layer that is called twice has one copy."""
        if layer in self.made:
            return self.made[layer](*args, **kwargs)
        self.made[layer] = copy = type(layer).from_config({**layer.get_config(), **(changes or {})})
        result = copy(*args, **kwargs)
        copy.set_weights(layer.get_weights())
        copy.finalize_state()  # what Normalization derives from its weights
        return result

    def add(self, kind: Any, name: str, /, *args: Any, weights: Any = (), **settings: Any) -> Any:
        """What a new layer makes; the same layer where it was made before."""
        key = (name, kind, repr(settings))
        if key in self.made:
            return self.made[key](*args)
        old, new = ({layer.name for layer in them} for them in (self.graph.calls, self.made.values()))
        taken, unique = (old - {self.current}) | new, name
        while unique in taken:
            unique += "_1"
        self.made[key] = layer = kind(name=unique, **settings)
        result = layer(*args)
        layer.set_weights(list(weights))
        return result

    def affine(self, x: Any, name: str, scale: Any, offset: Any) -> Any | None:
        """``x * scale + offset``; None where these are neither numbers nor one number a channel."""
        scale, offset = (np.squeeze(np.asarray(each, np.float64)) for each in (scale, offset))
        if scale.ndim == offset.ndim == 0:
            return self._rescaled(x, name, float(scale), float(offset))
        channels = x.shape[-1]
        if len(x.shape) != 4 or not {scale.shape, offset.shape} <= {(), (channels,)}:
            return None
        weights = [np.broadcast_to(scale, channels).reshape(1, 1, channels, 1), np.broadcast_to(offset, channels)]
        return self.add(layers.DepthwiseConv2D, name, x, weights=weights, kernel_size=1, trainable=False)

    def _rescaled(self, x: Any, name: str, scale: float, offset: float) -> Any:
        before, source = _source(x)
        if isclose(scale, 1 / 6, rel_tol=1e-6) and offset == 0 and type(before) is layers.Multiply:
            for gated, gate in (source, source[::-1]):
                if _is_gate(gate, gated):
                    return self.add(HardSwish, name, gated)
        if len(x.shape) == 4 and type(before) is layers.Rescaling:  # one multiplication, one addition: one operator
            x, scale, offset = source, scale * before.scale, offset + scale * before.offset
        elif len(x.shape) != 4 and scale != 1 and offset != 0:
            x, scale = self.add(layers.Rescaling, f"{name}_scale", x, scale=scale), 1.0
        return self.add(layers.Rescaling, name, x, scale=scale, offset=offset)

    def activation(self, x: Any, name: str, activation: str) -> Any | None:
        """What an activation makes, as a layer; None if it is not known."""
        if activation == "hard_sigmoid":
            return self.add(layers.ReLU, name, self.affine(x, f"{name}_affine", 0.2, 0.5), max_value=1.0)
        if activation not in _ACTIVATIONS:
            return None
        kind, settings = _ACTIVATIONS[activation]
        return self.add(kind, name, x, **settings)

    def join(self, kind: Any, name: str, tensors: list[Any]) -> Any:
        """A join of two and more as joins of two."""
        for number, other in enumerate(tensors[1:-1], start=1):
            tensors = [self.add(kind, f"{name}_{number}", [tensors[0], other]), *tensors[1:]]
        pair = [tensors[0], tensors[-1]]
        if kind is layers.Multiply:
            for x, gate in (pair, pair[::-1]):
                layer, source = _source(gate)
                sixth = type(layer) is layers.Rescaling and isclose(layer.scale, 1 / 6, rel_tol=1e-6)
                if sixth and layer.offset == 0 and _is_gate(source, x):
                    return self.add(HardSwish, name, x)
        return self.add(kind, name, pair)


def _source(tensor: Any) -> tuple[Any, Any]:
    """The layer that makes a tensor, and what it takes for that; None for the input, which takes nothing."""
    node = made_by(tensor)
    return node.layer, None if node.is_input else node.call_args[0]


def _is_gate(tensor: Any, x: Any) -> bool:
    """Whether a tensor is ``relu6(x + 3)``."""
    relu, source = _source(tensor)
    if type(relu) is not layers.ReLU or (relu.max_value, float(relu.negative_slope), float(relu.threshold)) != (
        6,
        0,
        0,
    ):
        return False
    sum_, source = _source(source)
    return type(sum_) is layers.Rescaling and (sum_.scale, sum_.offset) == (1, 3) and source is x


def _computing(to: Rewriting, node: Any, args: Any, kwargs: dict[str, Any]) -> Any | None:
    layer, activation = node.layer, activation_of(node.layer)
    if activation in FUSED or (activation not in _ACTIVATIONS and activation != "hard_sigmoid"):
        return None
    result = to.kept(layer, *args, changes={"activation": "linear"}, **kwargs)
    return to.activation(result, f"{layer.name}_{activation}", activation)


def _separable(to: Rewriting, node: Any, args: Any, kwargs: dict[str, Any]) -> Any | None:
    layer, config, weights = node.layer, node.layer.get_config(), node.layer.get_weights()
    activation = activation_of(layer)
    if activation not in (*FUSED, "hard_sigmoid", *_ACTIVATIONS) or config["data_format"] != "channels_last":
        return None
    same = ("kernel_size", "strides", "padding", "dilation_rate", "depth_multiplier", "trainable")
    taken = {name: config[name] for name in config if name.startswith("depthwise_") or name in same}
    x = to.add(layers.DepthwiseConv2D, f"{layer.name}_depthwise", *args, weights=weights[:1], use_bias=False, **taken)
    taken = {name.replace("pointwise", "kernel"): config[name] for name in config if name.startswith("pointwise_")}
    taken |= {name: config[name] for name in config if name.startswith("bias_")}
    taken |= {name: config[name] for name in ("filters", "use_bias", "trainable")}
    x = to.add(layers.Conv2D, f"{layer.name}_pointwise", x, weights=weights[1:], kernel_size=1, **taken)
    return x if activation == "linear" else to.activation(x, f"{layer.name}_{activation}", activation)


def _activation(to: Rewriting, node: Any, args: Any, kwargs: dict[str, Any]) -> Any | None:
    activation = activation_of(node.layer)
    return (
        to.activation(args[0], node.layer.name, activation) if activation in ("hard_sigmoid", "relu6", "silu") else None
    )


def _join(to: Rewriting, node: Any, args: Any, kwargs: dict[str, Any]) -> Any | None:
    return to.join(type(node.layer), node.layer.name, list(args[0]))


def _average(to: Rewriting, node: Any, args: Any, kwargs: dict[str, Any]) -> Any | None:
    total = to.join(layers.Add, f"{node.layer.name}_sum", list(args[0]))
    return to.affine(total, node.layer.name, 1 / len(args[0]), 0.0)


def _rescaling(to: Rewriting, node: Any, args: Any, kwargs: dict[str, Any]) -> Any | None:
    return to.affine(args[0], node.layer.name, node.layer.scale, node.layer.offset)


def _normalization(to: Rewriting, node: Any, args: Any, kwargs: dict[str, Any]) -> Any | None:
    layer = node.layer
    if layer.invert or layer.axis not in ((3,), (-1,), ()):
        return None
    deviation = np.maximum(np.sqrt(np.asarray(layer.variance)), keras.backend.epsilon())
    return to.affine(args[0], layer.name, 1 / deviation, -np.asarray(layer.mean) / deviation)


def _batch_norm(to: Rewriting, node: Any, args: Any, kwargs: dict[str, Any]) -> Any | None:
    (x, *_), layer = args, node.layer
    rank, channels = len(x.shape), x.shape[-1]
    producer = node.call_args[0]._keras_history.layer
    alone = len(to.graph.takers[id(node.call_args[0])]) == 1 == to.graph.calls[producer]
    if list(layer.axis) != [rank - 1] or rank not in (2, 4) or (rank == 4 and alone and folds(made_by(x).layer)):
        return None
    if rank == 2:
        x = to.add(layers.Reshape, f"{layer.name}_image", x, target_shape=(1, 1, channels))
    ones = np.ones((1, 1, channels, 1), np.float32)
    settings = {"kernel_size": 1, "use_bias": False, "trainable": False}
    x = to.add(layers.DepthwiseConv2D, f"{layer.name}_identity", x, weights=[ones], **settings)
    x = to.kept(layer, x, *args[1:], changes={"axis": -1}, **kwargs)
    return x if rank == 4 else to.add(layers.Reshape, f"{layer.name}_vector", x, target_shape=(channels,))


_RULES: dict[str, Callable[[Rewriting, Any, Any, dict[str, Any]], Any | None]] = {
    "TFOpLambda": operation,
    "Activation": _activation,
    "BatchNormalization": _batch_norm,
    "SeparableConv2D": _separable,
    "Rescaling": _rescaling,
    "Normalization": _normalization,
    "Average": _average,
    **dict.fromkeys(("Add", "Multiply", "Maximum", "Minimum"), _join),
    **dict.fromkeys(("Conv2D", "DepthwiseConv2D", "Dense"), _computing),
}


def _prove(model: Any, made: Any) -> None:
    """Both must make the same of two images of noise, but for rounding."""
    (batch, *sizes), random = model.input_shape, np.random.default_rng(0)
    images = random.uniform(-1, 1, (batch or 2, *sizes)).astype(np.float32)
    expected, received = (np.asarray(each(images, training=False)) for each in (model, made))
    if not np.allclose(expected, received, rtol=1e-3, atol=1e-4 * np.abs(expected).max(), equal_nan=True):
        raise ModelError(
            "Rewriting the network in canonical layers changed what it computes.",
            received=f"outputs that differ by up to {np.abs(expected - received).max():g}",
            accepted="the same outputs, but for rounding",
            remedy="report this, with the model",
        )
