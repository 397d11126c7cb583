"""Models of one operator: one cut out of a network, or one that no network has, to measure a computer's limits with."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgecnn.bundle import packed

MATRICES = ((28, 256), (14, 512))  # places across, and channels: some kernels like the one better, some the other
MATRIX_MACS = 28**2 * 256**2  # 51 million, in both


def matrix_model(kind: str, size: int, channels: int) -> bytes:
    """A flatbuffer of one 1x1 convolution of so many channels into as many: what a matrix product is to a runtime.

    Args:
        kind: of its input, its weights and its output: int8 or float32.
        size: its places across, and down.
        channels: in and out.
    """
    random = np.random.default_rng(0)
    whole = kind == "int8"
    weights = random.integers(-127, 128, (channels, 1, 1, channels)).astype(np.int8 if whole else np.float32)
    bias = np.zeros(channels, np.int32 if whole else np.float32)
    image = (1, size, size, channels)
    options = schema.Conv2DOptionsT()
    options.padding, options.strideW, options.strideH = schema.Padding.VALID, 1, 1
    options.dilationWFactor = options.dilationHFactor = 1
    scales = {"image": 1.0, "weights": 1.0, "bias": 1.0, "product": 4096.0} if whole else {}
    return _single(
        schema.BuiltinOperator.CONV_2D,
        {"image": (image, kind, None), "weights": (weights.shape, kind, weights),
         "bias": (bias.shape, bias.dtype.name, bias), "product": (image, kind, None)},
        options=(schema.BuiltinOptions.Conv2DOptions, options), scales=scales,
    )  # fmt: skip


def empty_model() -> bytes:
    """A flatbuffer that adds a number to itself: what an invoke takes that has nothing to do."""
    tensors: dict[str, Any] = {"one": ((1, 1), "float32", None), "two": ((1, 1), "float32", None)}
    return _single(
        schema.BuiltinOperator.ADD, tensors, options=(schema.BuiltinOptions.AddOptions, schema.AddOptionsT())
    )


def alone(model: bytes, indices: Sequence[int]) -> list[bytes]:
    """Models of one operator each, with its own weights; its activations are the inputs and outputs.

    Args:
        model: the flatbuffer.
        indices: of the operators.
    """
    tree = schema.ModelT.InitFromPackedBuf(model)
    return [_alone(tree, tree.subgraphs[0].operators[index]) for index in indices]


def _single(
    code: int, tensors: dict[str, Any], *, options: tuple[int, Any], scales: dict[str, float] | None = None
) -> bytes:
    """A flatbuffer of one operator, which takes the first tensors and makes the last.

    Args:
        code: the builtin operator.
        tensors: shape, type and values (None of an activation) by name; a binary one may take its first input twice.
        options: their type and they themselves.
        scales: of tensors that are quantized, around zero.
    """
    model, graph, operator, opcode = schema.ModelT(), schema.SubGraphT(), schema.OperatorT(), schema.OperatorCodeT()
    model.version, model.buffers = 3, [schema.BufferT()]
    graph.tensors = [_tensor(model.buffers, name, each, (scales or {}).get(name)) for name, each in tensors.items()]
    opcode.builtinCode = opcode.deprecatedBuiltinCode = code
    opcode.version = 3 if scales else 1
    last = len(tensors) - 1
    inputs = list(range(last)) if last > 1 else [0, 0]
    operator.inputs, operator.outputs = np.array(inputs, np.int32), np.array([last], np.int32)
    operator.builtinOptionsType, operator.builtinOptions = options
    graph.inputs, graph.outputs, graph.operators = np.array([0], np.int32), np.array([last], np.int32), [operator]
    model.operatorCodes, model.subgraphs = [opcode], [graph]
    return packed(model, sum(each.data.nbytes for each in model.buffers if each.data is not None) + 1024)


def _tensor(buffers: list[Any], name: str, what: tuple[Sequence[int], str, Any], scale: float | None) -> Any:
    (shape, kind, values), tensor, buffer = what, schema.TensorT(), schema.BufferT()
    tensor.name, tensor.shape = name, np.array(shape, np.int32)
    tensor.type, tensor.buffer = getattr(schema.TensorType, kind.upper()), len(buffers)
    if values is not None:
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    if scale is not None:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = (
            np.array([scale], np.float32),
            np.array([0], np.int64),
        )
    buffers.append(buffer)
    return tensor


def _alone(tree: Any, operator: Any) -> bytes:
    graph = tree.subgraphs[0]
    used = sorted({int(place) for place in (*operator.inputs, *operator.outputs) if place >= 0})
    places = {old: new for new, old in enumerate(used)}
    cut, alone, only = copy.copy(tree), copy.copy(graph), copy.copy(operator)
    alone.tensors = [copy.copy(graph.tensors[old]) for old in used]
    cut.buffers = [schema.BufferT(), *(tree.buffers[tensor.buffer] for tensor in alone.tensors)]
    for new, tensor in enumerate(alone.tensors):
        tensor.buffer = new + 1
    only.inputs = np.array([places.get(int(old), -1) for old in operator.inputs], np.int32)
    only.outputs = np.array([places[int(old)] for old in operator.outputs], np.int32)
    held = [each.data is not None and len(each.data) > 0 for each in cut.buffers[1:]]
    alone.inputs = np.array(sorted({place for place in only.inputs if place >= 0 and not held[place]}), np.int32)
    alone.outputs, alone.operators = only.outputs, [only]
    cut.subgraphs, cut.metadata, cut.metadataBuffer, cut.signatureDefs = [alone], None, None, None
    return packed(cut, sum(len(each.data) for each in cut.buffers if each.data is not None) + 1024)
