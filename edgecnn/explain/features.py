"""What the layers of a ``.tflite`` know: the filters of the first convolution, and any tensor of it as an output.

The flatbuffer alone is read and written: no Keras, and any runtime that loads the file loads what is made of it here.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle import packed
from edgecnn.errors import ModelError, UsageError


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
    schema, tree = _tree(model)
    kinds = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    main, found, used = tree.subgraphs[0], list[Layer](), set[str]()
    for operator in main.operators or ():
        tensor = main.tensors[operator.outputs[0]]
        shape = tuple(int(size) for size in tensor.shape) if tensor.shape is not None else ()
        if len(shape) != 4 or shape[1] * shape[2] == 1 or _casts(tree, operator):
            continue
        name = _unique(_short(tensor.name.decode(errors="replace")), used)
        kind = kinds.get(_code(tree, operator), "CUSTOM")
        found.append(Layer(name=name, kind=kind, shape=(shape[1], shape[2], shape[3]), tensor=operator.outputs[0]))
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
    schema, tree = _tree(model)
    found = [each for each in tree.subgraphs[0].operators or () if _code(tree, each) == schema.BuiltinOperator.SOFTMAX]
    return int(found[-1].inputs[0]) if found else None


def exposing(model: bytes, *tensors: int) -> tuple[bytes, tuple[int, ...]]:
    """The flatbuffer with more of its tensors as outputs, behind those it has, which any runtime computes as before.

    Args:
        model: the flatbuffer.
        tensors: indices of tensors, as `Layer.tensor` and `logits_of` say.

    Returns:
        The flatbuffer, and which of its outputs each of the tensors is.
    """
    _, tree = _tree(model)
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
    schema, tree = _tree(model)
    main = tree.subgraphs[0]
    types = {schema.TensorType.INT8: np.int8, schema.TensorType.UINT8: np.uint8, schema.TensorType.FLOAT32: np.float32}
    for operator in main.operators or ():
        if _code(tree, operator) != schema.BuiltinOperator.CONV_2D:
            continue
        tensor = main.tensors[operator.inputs[1]]
        data, dtype = tree.buffers[tensor.buffer].data, types.get(tensor.type)
        if data is not None and dtype is not None:
            return _dequantized(np.frombuffer(bytes(data), dtype).reshape(tensor.shape), tensor.quantization)
        break
    raise ModelError(
        "This file has no first convolution whose filters could be drawn.",
        accepted="a CONV_2D with a constant kernel in int8, uint8 or float32",
        remedy="`edgecnn explain MODEL IMAGE...` without --filters takes any classifier",
    )


def _dequantized(kernel: NDArray[Any], quantization: Any) -> NDArray[np.float32]:
    if quantization is None or quantization.scale is None or not len(quantization.scale):
        return kernel.astype(np.float32)
    scale = np.asarray(quantization.scale, np.float32).reshape(-1, 1, 1, 1)  # one for all, or one a filter
    return (kernel.astype(np.float32) - np.asarray(quantization.zeroPoint, np.float32).reshape(-1, 1, 1, 1)) * scale


def _tree(model: bytes) -> tuple[Any, Any]:
    from ai_edge_litert import schema_py_generated as schema

    return schema, schema.ModelT.InitFromPackedBuf(model)


def _code(tree: Any, operator: Any) -> int:
    code = tree.operatorCodes[operator.opcodeIndex]
    return int(max(code.builtinCode, code.deprecatedBuiltinCode))


def _casts(tree: Any, operator: Any) -> bool:
    """Whether it only brings a tensor to another type."""
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    return _code(tree, operator) in (BuiltinOperator.QUANTIZE, BuiltinOperator.DEQUANTIZE)


def _short(tensor: str) -> str:
    """The converter joins the names of what it fused, the first of them last: ``net/relu/Relu;net/stem/Conv2D1``."""
    parts = tensor.split(";")[-1].split("/")
    if len(parts) > 2 and parts[-1].startswith("ReadVariableOp"):  # of the bias, behind the operator
        parts.pop()
    return parts[-2] if len(parts) > 1 else parts[0]


def _unique(name: str, used: set[str]) -> str:
    number, candidate = 1, name
    while candidate in used:
        number += 1
        candidate = f"{name}-{number}"
    used.add(candidate)
    return candidate
