"""What the layers of a ``.tflite`` know: the filters of the first convolution, and any tensor of it as an output.

The flatbuffer alone is read and written: no Keras, and any runtime that loads the file loads what is made of it here.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle import packed
from edgecnn.errors import ModelError, UsageError
from edgecnn.operators import CASTS, Tensor, operators

_KERNELS = ("int8", "uint8", "float32")  # what a first convolution's may be


@dataclass(frozen=True, kw_only=True)
class Layer:
    """An operator whose result is a stack of feature maps.

    Attributes:
        name: of the layer in the network that was converted, as far as the file tells.
        kind: of the operator, such as ``CONV_2D``.
        shape: (height, width, channels) of its result.
        tensor: the index of its result.
    """

    name: str
    kind: str
    shape: tuple[int, int, int]
    tensor: int


def feature_layers(model: bytes) -> tuple[Layer, ...]:
    """The layers of a flatbuffer whose results are (1, height, width, channels), more than one place each, in order."""
    found, used = list[Layer](), set[str]()
    for operator in operators(model):
        shape = operator.outputs[0].shape if operator.outputs else ()
        if len(shape) != 4 or shape[1] * shape[2] == 1 or operator.type in CASTS:
            continue
        name = _unique(operator.name or operator.type.lower(), used)
        place = operator.output_ids[0]
        found.append(Layer(name=name, kind=operator.type, shape=(shape[1], shape[2], shape[3]), tensor=place))
    return tuple(found)


def find_layer(model: bytes, name: str) -> Layer:
    """The layer of that name.

    Raises:
        UsageError: there is none; the message lists those there are.
    """
    layers = feature_layers(model)
    for layer in layers:
        if layer.name == name:
            return layer
    raise UsageError(
        "The file has no layer of that name with feature maps.",
        received=name,
        accepted=", ".join(layer.name for layer in layers) or "none: no layer of this file has a height and a width",
        remedy="choose one of these, as --layer NAME",
    )


def logits_of(model: bytes) -> int | None:
    """The tensor that the last softmax takes: scores without a ceiling. None where the file has no softmax."""
    found = [each.input_ids[0] for each in operators(model) if each.type == "SOFTMAX"]
    return found[-1] if found else None


def exposing(model: bytes, *tensors: int) -> tuple[bytes, tuple[int, ...]]:
    """The flatbuffer with more of its tensors as outputs, behind those it has, which any runtime computes as before.

    Args:
        model: the flatbuffer.
        tensors: indices of tensors, as `Layer.tensor` and `logits_of` say.

    Returns:
        The flatbuffer, and which of its outputs each of the tensors is.
    """
    from ai_edge_litert import schema_py_generated as schema

    tree = schema.ModelT.InitFromPackedBuf(model)
    main = tree.subgraphs[0]
    outputs = [*main.outputs, *(each for each in tensors if each not in main.outputs)]
    main.outputs = np.array(outputs, np.int32)
    tree.signatureDefs = None  # they name the outputs that there were
    return packed(tree, len(model)), tuple(outputs.index(each) for each in tensors)


def first_filters(model: bytes) -> NDArray[np.float32]:
    """The kernels of the first convolution, dequantized: (filters, height, width, input channels), float32.

    Raises:
        ModelError: the file has no convolution with constant kernels of int8 or float.
    """
    kernel = next((each.inputs[1] for each in operators(model) if each.type == "CONV_2D"), None)
    if kernel is not None and kernel.data is not None and kernel.type in _KERNELS:
        return _dequantized(np.frombuffer(kernel.data, kernel.type).reshape(kernel.shape), kernel)
    raise ModelError(
        "This file has no first convolution whose filters could be drawn.",
        accepted="a CONV_2D with a constant kernel in int8, uint8 or float32",
        remedy="`edgecnn explain MODEL IMAGE...` without --filters takes any classifier",
    )


def _dequantized(values: NDArray[Any], kernel: Tensor) -> NDArray[np.float32]:
    if not kernel.scales:
        return values.astype(np.float32)
    scale = np.asarray(kernel.scales, np.float32).reshape(-1, 1, 1, 1)  # one for all, or one a filter
    return (values.astype(np.float32) - np.asarray(kernel.zero_points, np.float32).reshape(-1, 1, 1, 1)) * scale


def _unique(name: str, used: set[str]) -> str:
    number, candidate = 1, name
    while candidate in used:
        number += 1
        candidate = f"{name}-{number}"
    used.add(candidate)
    return candidate
