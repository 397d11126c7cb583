"""Where a network looks: class activation maps, as a second output of the file.

Zhou et al. 2016, arXiv:1512.04150. Of a network that ends in the mean of each channel and a dense layer, the dense
layer is applied to every place before the mean, as a convolution of 1x1. The mean of a class's map is its logit.
"""

from typing import Any

import numpy as np

from edgecnn.build.fake_quantization import observe, set_kernel_range, set_range
from edgecnn.build.graph import Graph, activation_of, made_by
from edgecnn.build.keras import keras, tf
from edgecnn.build.pixels import Rows
from edgecnn.build.rounding import rounded_layer
from edgecnn.errors import ModelError
from edgecnn.preprocess import InputSpec

NAME = "class_maps"


def check(model: Any) -> None:
    """Make sure that a network has class activation maps.

    Raises:
        ModelError: it does not end in global average pooling and a dense layer.
    """
    _head(model)


def added(model: Any) -> Any:
    """A float network with a second output, (batch, h, w, classes), that shares its layers and weights.

    Args:
        model: from (batch, height, width, channels) float32 to logits (batch, classes).

    Raises:
        ModelError: see `check`.
    """
    pooled, dense = _head(model)
    maps = _convolution(dense)
    both = keras.Model(model.inputs, [model.output, maps(_taken(pooled))])
    maps.set_weights(_of_1x1(dense.get_weights()))
    return both


def added_aware(aware: Any, model: Any, spec: InputSpec, calibration: Rows) -> Any:
    """The same of a quantization-aware network; the range of the maps is that over the images of calibration.

    Args:
        aware: from `edgecnn.build.fake_quantization.of`, with its weights.
        model: the float network that it was made of.
        spec: its input.
        calibration: (n, height, width, channels) uint8.
    """
    pooled, dense = _head(model)
    features, last = aware.get_layer(f"quant_{pooled.layer.name}").input, aware.get_layer(f"quant_{dense.name}")
    aware_weights = [array for array, name in _weights(last) if name in ("kernel", "bias")]
    maps = _convolution(dense)
    plain = keras.Model(aware.inputs, maps(features))
    maps.set_weights(_of_1x1(aware_weights or dense.get_weights()))  # none where the layer stays in float
    rounding = rounded_layer(maps)
    both = keras.Model(aware.inputs, [aware.output, rounding(features)])
    set_kernel_range(rounding)
    low, high = observe(plain, spec, calibration)[NAME]
    set_range(rounding, min(low, 0.0), max(high, 0.0))
    return both


def _convolution(dense: Any) -> Any:
    return keras.layers.Conv2D(dense.units, 1, use_bias=dense.use_bias, name=NAME)


def _of_1x1(weights: list[Any]) -> list[Any]:
    kernel, *bias = weights
    return [kernel[np.newaxis, np.newaxis], *bias]


def _weights(layer: Any) -> list[tuple[Any, str]]:
    return [(each.numpy(), each.name.split("/")[-1].split(":")[0]) for each in layer.variables]


def _taken(node: Any) -> Any:
    """The tensor that a call takes."""
    return tf.nest.flatten(node.call_args[:1])[0]


def _head(model: Any) -> tuple[Any, Any]:
    """The call of the pooling, and the dense layer, at a network's end."""
    graph, node = Graph.of(model), made_by(model.outputs[0])
    dense = node.layer
    while True:
        node = made_by(_taken(node))
        if node.is_input or type(node.layer).__name__ not in ("Dropout", "Flatten", "Reshape"):
            break
    fits = type(dense).__name__ == "Dense" and activation_of(dense) == "linear"
    if not fits or type(node.layer).__name__ != "GlobalAveragePooling2D" or graph.taker(node) is None:
        raise ModelError(
            "This network has no class maps: it does not end in global average pooling and a dense layer.",
            received=f"{node.layer.name} ({type(node.layer).__name__}), then {dense.name} ({type(dense).__name__})",
            accepted="GlobalAveragePooling2D, then Dense",
            remedy="leave out class_maps, or let the network end like this",
        )
    return node, dense
