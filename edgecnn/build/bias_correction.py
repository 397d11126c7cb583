"""What rounding a kernel adds to its operator's output in the mean, and the bias that makes up for it.

Nagel et al. 2019, arXiv:1906.04721, section 4.2, measured on data: each layer by itself, fed as in the float network.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgecnn.build.flatbuffer import code_of
from edgecnn.build.keras import tf

Floats = NDArray[np.float32]

_PADDING = {schema.Padding.SAME: "SAME", schema.Padding.VALID: "VALID"}
_CONV, _DEPTHWISE, _DENSE = (
    schema.BuiltinOperator.CONV_2D,
    schema.BuiltinOperator.DEPTHWISE_CONV_2D,
    schema.BuiltinOperator.FULLY_CONNECTED,
)


def correct(tree: Any, operator: Any, means: Mapping[int, NDArray[np.float64]]) -> None:
    """Subtract from the bias of an operator what rounding its kernel adds in the mean; one without kernel stays.

    Args:
        tree: LiteRT's ``ModelT`` of a float file; it gets a new tensor, for equal biases may be one.
        operator: of its first graph.
        means: of tensors, by index, the mean over images.
    """
    graph, code = tree.subgraphs[0], code_of(tree, operator)
    if code not in (_CONV, _DEPTHWISE, _DENSE):
        return
    source, kernel_index, bias_index = (int(index) for index in (*operator.inputs, -1)[:3])
    kernel, bias = _constant(tree, kernel_index), _constant(tree, bias_index)
    if kernel is None or source not in means or (bias_index >= 0 and bias is None):
        return
    error = rounded_kernel(kernel, depthwise=code == _DEPTHWISE) - kernel
    added = _applied(means[source].astype(np.float32), error, operator.builtinOptions, code)
    name = graph.tensors[kernel_index if bias is None else bias_index].name
    own = _append(tree, name, -added if bias is None else bias - added)
    operator.inputs = np.array([source, kernel_index, own], np.int32)


def _append(tree: Any, name: bytes, values: Floats) -> int:
    """A new constant of the first graph; returns its index."""
    graph, tensor, buffer = tree.subgraphs[0], schema.TensorT(), schema.BufferT()
    tensor.name, tensor.shape, tensor.type = name, values.shape, schema.TensorType.FLOAT32
    tensor.buffer, buffer.data = len(tree.buffers), np.frombuffer(values.astype("<f4").tobytes(), np.uint8)
    tree.buffers.append(buffer)
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _constant(tree: Any, index: int) -> Floats | None:
    if index < 0:
        return None
    tensor = tree.subgraphs[0].tensors[index]
    data = tree.buffers[tensor.buffer].data
    if data is None or not len(data) or tensor.type != schema.TensorType.FLOAT32:
        return None
    return np.frombuffer(np.asarray(data, np.uint8).tobytes(), "<f4").reshape(tensor.shape)


def rounded_kernel(kernel: Floats, *, depthwise: bool) -> Floats:
    """The kernel of a file as int8 holds it: symmetric, one scale for each output channel, which a file has first.

    That of a depthwise convolution is (1, height, width, channels), and has them last.
    """
    axes = (0, 1, 2) if depthwise else tuple(range(1, kernel.ndim))
    scale = np.maximum(np.abs(kernel).max(axis=axes, keepdims=True), 1e-12) / 127
    return np.asarray(np.round(kernel / scale) * scale, np.float32)


def _applied(mean: Floats, kernel: Floats, options: Any, code: int) -> Floats:
    """What a kernel makes of the mean input, averaged over positions: (out,). It is linear, so one image is enough."""
    if code == _DENSE:
        return np.asarray(mean.reshape(-1, kernel.shape[1]).mean(axis=0) @ kernel.T)
    strides = [1, options.strideH, options.strideW, 1]
    settings: dict[str, Any] = {"strides": strides, "padding": _PADDING[options.padding]}
    dilations: Sequence[int] = [options.dilationHFactor, options.dilationWFactor]
    if code == _DEPTHWISE:
        channels = mean.shape[-1]
        split = kernel[0].reshape(*kernel.shape[1:3], channels, -1)
        made = tf.nn.depthwise_conv2d(mean, split, dilations=dilations, **settings)
    else:
        made = tf.nn.conv2d(mean, kernel.transpose(1, 2, 3, 0), dilations=dilations, **settings)
    return np.asarray(made.numpy().mean(axis=(0, 1, 2)))
