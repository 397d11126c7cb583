"""Flatbuffers of one operator, as no converter writes them: to break one limit each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgecnn.bundle import packed

TYPES = {"int8": np.int8, "uint8": np.uint8, "int32": np.int32, "float32": np.float32}


@dataclass(frozen=True)
class T:
    """A tensor; with values it is constant."""

    shape: Sequence[int]
    type: str = "int8"
    values: Any = None
    signature: Sequence[int] | None = None


def model(name: str, inputs: Sequence[T], outputs: Sequence[T], options: Any = None) -> bytes:
    """A file whose only operator is this, between its inputs that are not constant and its outputs."""
    return chain([(name, inputs, outputs, options)])


def chain(steps: Sequence[tuple[str, Sequence[T], Sequence[T], Any]]) -> bytes:
    """A file of these operators, each with tensors of its own."""
    tree, graph = schema.ModelT(), schema.SubGraphT()
    tree.version, tree.subgraphs, tree.buffers, tree.operatorCodes = 3, [graph], [schema.BufferT()], []
    graph.tensors, graph.operators, graph.inputs, graph.outputs = [], [], [], []
    for number, (name, inputs, outputs, options) in enumerate(steps):
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        operator.opcodeIndex = len(tree.operatorCodes)
        tree.operatorCodes.append(code)
        operator.inputs = [_add(tree, graph, each, f"net/layer{number}/in{i}") for i, each in enumerate(inputs)]
        operator.outputs = [_add(tree, graph, each, f"net/layer{number}/out") for each in outputs]
        if options is not None:
            operator.builtinOptions = options
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        graph.inputs += [i for i, each in zip(operator.inputs, inputs, strict=True) if each.values is None]
        graph.outputs += operator.outputs
        graph.operators.append(operator)
    return packed(tree, 4096)


def _add(tree: Any, graph: Any, wanted: T, name: str) -> int:
    tensor, buffer = schema.TensorT(), schema.BufferT()
    tensor.name, tensor.shape = name, list(wanted.shape)
    tensor.shapeSignature = None if wanted.signature is None else list(wanted.signature)
    tensor.type = getattr(schema.TensorType, wanted.type.upper())
    if wanted.type in ("int8", "uint8"):
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [0.1], [0]
    if wanted.values is not None:
        values = np.broadcast_to(np.asarray(wanted.values, TYPES[wanted.type]), wanted.shape)
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    tree.buffers.append(buffer)
    tensor.buffer = len(tree.buffers) - 1
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def options(name: str, **values: Any) -> Any:
    """The options of an operator, by the name of their table."""
    made = getattr(schema, f"{name}OptionsT")()
    for key, value in values.items():
        assert hasattr(made, key), key
        setattr(made, key, value)
    return made
