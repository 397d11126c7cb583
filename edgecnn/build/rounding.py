"""The quantization-aware form of a network.

Rounding is rehearsed where the file will round: the file's operators are not Keras's layers. A convolution, the batch
norm and the ReLU behind it become one operator, whose kernel and whose output are rounded, and nothing between; what
only moves values on, such as a reshape, rounds nothing. tfmot brings the wrapper, the quantizers and the masks; its own
transformations of the graph know fewer layers, and round neither a kernel that a ReLU follows directly nor what goes
into a concatenation.
"""

from typing import Any

import numpy as np

from edgecnn.build.graph import Graph, activation_of, folds, made_by
from edgecnn.build.keras import keras, tf, tfmot

_quantizers = tfmot.quantization.keras.quantizers

KERNELS = {"Conv2D": "kernel", "DepthwiseConv2D": "depthwise_kernel", "Dense": "kernel"}
MOVING = (  # the file gives what these make the scale of what they take
    *("Flatten", "Reshape", "Permute", "ZeroPadding2D", "Cropping2D", "UpSampling2D"),
    *("MaxPooling2D", "GlobalMaxPooling2D", "AveragePooling2D"),
    *("Dropout", "SpatialDropout2D", "GaussianDropout", "GaussianNoise", "AlphaDropout"),
)
_FUSING = (*KERNELS, "BatchNormalization", "Add", "Subtract", "Multiply", "Rescaling")  # with a ReLU behind them
_GROWING = (*_FUSING, "ReLU")  # with a concatenation behind them, of the scale that it has
FIXED = {"sigmoid": (0.0, 255 / 256), "softmax": (0.0, 255 / 256), "tanh": (-1.0, 127 / 128)}  # TFLite's own ranges


def rounded(model: Any, float_layers: frozenset[str]) -> Any:
    """The network that rounds as its int8 file will; zeros of its kernels stay zeros in training.

    Each layer is wrapped, and named ``quant_`` and its name, so that it is the same whenever it is made. What the first
    one wraps does nothing: it rounds the images, and is named after the input.

    Args:
        model: float and canonical; it is not changed.
        float_layers: names of layers that stay in float, where they have a kernel.
    """
    graph, wrapped = Graph.of(model), {}
    kept = {node.layer for node in graph.nodes if node.layer.name in float_layers and _has_kernel(node.layer)}
    image = keras.layers.Input(batch_shape=model.input_shape, name=model.input_names[0])
    front = keras.layers.Activation("linear", name=model.input_names[0])
    widening = _quantizers.AllValuesQuantizer(num_bits=8, per_axis=False, symmetric=False, narrow_range=False)
    new = {id(model.inputs[0]): _wrapper(front, None, widening)(image)}  # by id: `==` of Keras tensors is a layer
    for node in graph.nodes:
        layer = node.layer
        if layer not in wrapped:
            output = _output_quantizer(node, graph, kept)
            wrapped[layer] = _in_float(node, graph, output) if layer in kept else [_in_int8(layer, output)]
        result = tf.nest.map_structure(lambda tensor: new[id(tensor)], node.call_args[0])
        for part in wrapped[layer]:
            result = part(result)
        new[id(node.outputs)] = result
    return keras.Model(image, new[id(model.outputs[0])], name=model.name)


class _Config(tfmot.quantization.keras.QuantizeConfig):  # type: ignore[misc]
    """What of a layer is rounded: its kernel, its output, both or nothing."""

    def __init__(self, kernel: Any | None, output: Any | None) -> None:
        self._kernel, self._output = kernel, output

    def get_weights_and_quantizers(self, layer: Any) -> list[tuple[Any, Any]]:
        """See tfmot."""
        return [(getattr(layer, KERNELS[type(layer).__name__]), self._kernel)] if self._kernel else []

    def set_quantize_weights(self, layer: Any, quantize_weights: list[Any]) -> None:
        """See tfmot."""
        for weight in quantize_weights:
            setattr(layer, KERNELS[type(layer).__name__], weight)

    def get_activations_and_quantizers(self, layer: Any) -> list[Any]:
        """See tfmot; activations inside a layer are rounded as its output is."""
        return []

    def set_quantize_activations(self, layer: Any, quantize_activations: list[Any]) -> None:
        """See tfmot."""

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        """See tfmot."""
        return [self._output] if self._output else []

    def get_config(self) -> dict[str, Any]:
        """See tfmot; a quantization-aware model is rebuilt, and not loaded."""
        return {}


def _wrapper(layer: Any, kernel: Any | None, output: Any | None) -> Any:
    return tfmot.quantization.keras.QuantizeWrapperV2(layer, _Config(kernel, output), name_prefix="quant_")


def _copy(layer: Any, **changes: Any) -> Any:
    """A layer with the same weights, built already: from them its quantizer learns which are zero.

    A ReLU with another ceiling than 6 needs none: its output is rounded over a range that ends there. A scale and an
    offset are one operator as a convolution of 1x1.
    """
    config, weights = {**layer.get_config(), **changes}, layer.get_weights()
    kind = type(layer)
    if ceiling(layer):
        config["max_value"] = None
    if is_affine(layer):
        channels = layer.input_shape[-1]
        kind, config = keras.layers.DepthwiseConv2D, {"name": layer.name, "kernel_size": 1, "trainable": False}
        weights = [np.full((1, 1, channels, 1), layer.scale), np.full(channels, layer.offset)]
    copy = kind.from_config(config)
    with tf.name_scope(copy.name):
        copy.build(layer.input_shape)
    copy.set_weights(weights)
    return copy


def rounded_layer(layer: Any) -> Any:
    """A copy of a layer that was called, which rounds its kernel, and its output over a range of its own."""
    return _in_int8(layer, _moving())


def _in_int8(layer: Any, output: Any | None) -> Any:
    copy = _copy(layer)
    return _wrapper(copy, _kernel_quantizer(copy), output)


def _in_float(node: Any, graph: Graph, output: Any | None) -> list[Any]:
    """A layer that the file computes in float.

    The converter makes int8 of every kernel that it can. It cannot where the kernel has 16 bits, and turns that into a
    float kernel when it multiplies it with what comes behind: a batch norm, or a half for the kernel that is doubled.
    """
    layer = node.layer
    kernel = _quantizers.LastValueQuantizer(num_bits=16, per_axis=False, symmetric=True, narrow_range=True)
    if type(graph.taker(node)).__name__ == "BatchNormalization":
        return [_wrapper(_copy(layer), kernel, None)]
    doubled = _copy(layer, name=f"{layer.name}_doubled", activation="linear")
    doubled.set_weights([2 * array for array in layer.get_weights()])
    half = keras.layers.Rescaling(0.5, name=f"{layer.name}_half")
    end = keras.layers.Activation(activation_of(layer), name=layer.name)
    return [_wrapper(doubled, kernel, None), _wrapper(half, None, None), _wrapper(end, None, output)]


def _has_kernel(layer: Any) -> bool:
    return type(layer).__name__ in KERNELS


def _kernel_quantizer(layer: Any) -> Any | None:
    if not _has_kernel(layer):
        return None
    registry = tfmot.experimental.combine.Default8BitPrunePreserveQuantizeScheme().get_quantize_registry()
    return registry.get_quantize_config(layer).weight_quantizer


def _output_quantizer(node: Any, graph: Graph, kept: set[Any]) -> Any | None:
    """How the output of a layer is rounded; None where it is not, or as part of what comes behind."""
    layer, activation = node.layer, activation_of(node.layer)
    kind = type(layer).__name__
    if fixed := (0.0, ceiling(layer)) if ceiling(layer) else FIXED.get("softmax" if kind == "Softmax" else activation):
        return _quantizers.FixedQuantizer(num_bits=8, init_min=fixed[0], init_max=fixed[1], narrow_range=False)
    idle = kind in MOVING or (kind == "Activation" and activation == "linear")
    if idle or _is_fused(node, graph) or _is_grown(node, graph, kept):
        return None
    return _moving()


def _moving() -> Any:
    return _quantizers.MovingAverageQuantizer(num_bits=8, per_axis=False, symmetric=False, narrow_range=False)


def _is_fused(node: Any, graph: Graph) -> bool:
    """Whether what comes behind is part of the same operator."""
    layer, taker = node.layer, graph.taker(node)
    if type(taker).__name__ == "BatchNormalization":
        return folds(layer)
    plain = type(layer).__name__ in _FUSING and activation_of(layer) == "linear"
    return plain and _is_relu(taker)


def _is_grown(node: Any, graph: Graph, kept: set[Any]) -> bool:
    """Whether this is concatenated with nothing but such as can take the scale of the whole."""
    taker = graph.taker(node)
    if type(taker).__name__ != "Concatenate" or graph.calls[taker] > 1:
        return False
    whole = next(each for each in graph.nodes if each.layer is taker)
    return all(
        graph.taker(part) is taker
        and (type(part.layer).__name__ in _GROWING or _is_relu(part.layer))
        and not ceiling(part.layer)
        and part.layer not in kept
        for part in (made_by(tensor) for tensor in whole.call_args[0])
    )


def _is_relu(layer: Any) -> bool:
    if type(layer).__name__ == "ReLU":
        return not layer.negative_slope and not layer.threshold
    return type(layer).__name__ == "Activation" and activation_of(layer) == "relu"


def ceiling(layer: Any) -> float | None:
    """Where a ReLU ends, other than at 6, for which there is an operator."""
    end = layer.max_value if type(layer).__name__ == "ReLU" else None
    return None if end in (None, 6) else float(end)


def is_affine(layer: Any) -> bool:
    """Whether a layer multiplies and adds, which are two operators."""
    return type(layer).__name__ == "Rescaling" and layer.scale != 1 and layer.offset != 0
