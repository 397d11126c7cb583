"""Which networks can be quantized, what is in the way where one cannot, and what to write instead."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from edgecnn.build import rounding
from edgecnn.build.canonical import FUSED
from edgecnn.build.custom_layers import ChannelPooling, HardSwish
from edgecnn.build.graph import Graph, activation_of, folds, is_of_keras, made_by
from edgecnn.build.keras import keras, tf
from edgecnn.build.recipe import counted
from edgecnn.build.rounding import FIXED, KERNELS, MOVING, ceiling, is_affine
from edgecnn.errors import ModelError

_JOINS = ("Add", "Subtract", "Multiply", "Maximum", "Minimum")
_ONE_SCALE = ("Concatenate", "Maximum", "Minimum")  # the file gives what these take the scale of what they make
_ROUNDING = (
    *("BatchNormalization", "ReLU", "LeakyReLU", "PReLU", "HardSwish", "Activation", "Softmax"),
    *("Rescaling", "GlobalAveragePooling2D", "ChannelPooling", "Concatenate"),
)
_ACTIVATIONS = ("linear", "relu", "swish", "gelu", *FIXED)
_REFUSED = {  # why, and what to write instead
    "Lambda": ("nobody can look into it", "layers of Keras that compute the same"),
    "TFOpLambda": ("an operation that no layer stands for", "a layer of Keras that computes the same"),
    "SlicingOpLambda": ("slices", "Cropping2D, or strides in the layer before"),
    "BatchNormalization": ("not behind a convolution", "edgecnn.build.canonical, or a Conv2D without bias before it"),
    "Normalization": ("for each value its own", "one mean and variance a channel, or none: --input-range"),
    "SeparableConv2D": ("two operators in one", "a DepthwiseConv2D and a Conv2D of 1x1"),
    "Average": ("two operators in one", "Add, and a Rescaling"),
    **dict.fromkeys(("ELU", "ThresholdedReLU"), ("stays in float", "ReLU, LeakyReLU or HardSwish")),
    **dict.fromkeys(
        ("LayerNormalization", "GroupNormalization", "UnitNormalization"),
        ("stays in float", "BatchNormalization behind a convolution"),
    ),
    **dict.fromkeys(
        ("LSTM", "GRU", "SimpleRNN", "RNN", "ConvLSTM2D", "Bidirectional"), ("recurrent", "convolutions or pooling")
    ),
    **dict.fromkeys(
        ("Attention", "AdditiveAttention", "MultiHeadAttention", "Dot"),
        ("multiplies what it has computed with itself", "squeeze-and-excite: pooling, Dense, sigmoid, Multiply"),
    ),
    **dict.fromkeys(
        ("Conv1D", "Conv3D", "Conv2DTranspose", "SeparableConv1D", "DepthwiseConv1D", "LocallyConnected2D"),
        ("a convolution of another kind", "Conv2D or DepthwiseConv2D; UpSampling2D to enlarge"),
    ),
}
_UNKNOWN = ("not a layer that has an int8 operator", "convolutions, pooling, ReLU and joins of branches")


def check(model: Any) -> None:
    """Make sure that a network can be quantized, by walking it: nothing is built, nothing computed.

    Args:
        model: functional and flat, from `edgecnn.build.canonical.canonical`.

    Raises:
        ModelError: it cannot; every layer in the way is named, why, and what to write instead.
    """
    graph = Graph.of(model)
    found = {node.layer.name: (node.layer, problem) for node in graph.nodes if (problem := _problem(node, graph))}
    if found:
        instead: dict[str, list[str]] = {}
        for name, (_, (_, remedy)) in found.items():
            instead.setdefault(remedy, []).append(name)
        raise ModelError(
            f"This network cannot be quantized: {counted(len(found), 'layer')} cannot be int8.",
            received="; ".join(f"{name} ({type(layer).__name__}: {why})" for name, (layer, (why, _)) in found.items()),
            accepted=", ".join((*KERNELS, *_ROUNDING, *_JOINS, *MOVING)),
            remedy="; ".join(f"instead of {', '.join(names)}: {remedy}" for remedy, names in instead.items()),
        )


def quantization_aware(model: Any, *, float_layers: frozenset[str] = frozenset()) -> Any:
    """The network that rounds as its int8 file will; see `edgecnn.build.rounding.rounded`.

    Args:
        model: float, flat and canonical; it is not changed.
        float_layers: names of layers; those of them that have a kernel stay in float, with what becomes part of their
            operator. The file makes int8 of the others in any case.

    Raises:
        ModelError: see `check`.
    """
    check(model)
    return rounding.rounded(model, float_layers)


def _problem(node: Any, graph: Graph) -> tuple[str, str] | None:
    """What keeps a layer from being int8, and what to write instead."""
    layer, kind = node.layer, type(node.layer).__name__
    if isinstance(layer, keras.Model):
        return "a network inside the network", "edgecnn.build.flatten"
    if type(layer) not in (HardSwish, ChannelPooling) and not is_of_keras(layer):
        return "not a layer of Keras", "layers of Keras that compute the same"
    if kind not in (*KERNELS, *_ROUNDING, *_JOINS, *MOVING):
        return _REFUSED.get(kind, _UNKNOWN)
    return next(_details(node, graph), None)


def _details(node: Any, graph: Graph) -> Iterator[tuple[str, str]]:
    layer, kind, activation = node.layer, type(node.layer).__name__, activation_of(node.layer)
    tensors = tf.nest.flatten(node.call_args[:1])
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        yield "channels come first", "data_format='channels_last'"
    if layer.compute_dtype != "float32":
        yield f"computes in {layer.compute_dtype}", "the dtype float32"
    if activation not in (FUSED if kind in KERNELS else _ACTIVATIONS):
        yield f"the activation {activation} stays in float", "relu, sigmoid, tanh or swish"
    if kind == "ReLU" and (layer.threshold or (layer.negative_slope and layer.max_value)):
        yield "a threshold, or a slope and a ceiling", "ReLU with a ceiling, or LeakyReLU"
    if kind in _JOINS and len(tensors) > 2:
        yield "joins more than two", f"one {kind} after the other"
    if is_affine(layer) and len(tensors[0].shape) != 4:
        yield "a scale and an offset for what is no image", "two Rescaling layers"
    if kind == "Rescaling" and np.ndim(layer.scale) + np.ndim(layer.offset):
        yield "several scales or offsets", "a DepthwiseConv2D of 1x1"
    if kind == "BatchNormalization" and not _is_folded(node, graph):
        yield _REFUSED[kind]
    if kind in _ONE_SCALE and any(made_by(tensor).is_input for tensor in tensors):
        yield "takes the images as they are", "a convolution or a pooling between the images and it"
    if ceiling(layer) and any(type(taker).__name__ in _ONE_SCALE for taker in graph.takers[id(node.outputs)]):
        yield "a ceiling other than 6 that is lost when branches join", "ReLU with the ceiling 6"


def _is_folded(node: Any, graph: Graph) -> bool:
    before = made_by(tf.nest.flatten(node.call_args)[0])
    return not before.is_input and folds(before.layer) and graph.taker(before) is node.layer
