"""The operators of a flatbuffer: what each multiplies and moves, and each as a model of its own."""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgecnn.bundle import packed

_NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
_TYPES = {code: name.lower() for name, code in vars(schema.TensorType).items() if not name.startswith("_")}
_BITS = {
    "float64": 64, "int64": 64, "uint64": 64, "complex64": 64, "complex128": 128,
    "float32": 32, "int32": 32, "uint32": 32, "float16": 16, "bfloat16": 16, "int16": 16, "uint16": 16,
    "int8": 8, "uint8": 8, "bool": 8, "int4": 4, "uint4": 4, "int2": 2,
}  # fmt: skip

_NO_LAYER = "StatefulPartitionedCall"  # what the converter calls the outputs

Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """A tensor of the graph; where its size is not known before it runs, a dimension counts as 1."""

    name: str
    shape: Shape
    type: str
    constant: bool

    @property
    def bytes(self) -> int:
        """What it takes in memory; 0 of a type without a size, such as strings."""
        return -(-math.prod(self.shape) * _BITS.get(self.type, 0) // 8)


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One operator of the main graph, in the order in which they run.

    Attributes:
        type: as the schema names it, such as CONV_2D; of a custom operator its own name.
        inputs: of activations and constants alike; those that are left out are not here.
        input_ids, output_ids: their places among the graph's tensors.
        macs: multiplications with accumulation. Those of convolutions, dense layers and products of matrices: what only
            adds, multiplies, compares or copies has none.
        known: whether its type is one of which that is known. Of another, macs is 0.
    """

    index: int
    type: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    input_ids: tuple[int, ...]
    output_ids: tuple[int, ...]
    macs: int
    known: bool

    @property
    def bytes(self) -> int:
        """What must move: each tensor that it reads or writes, once."""
        return sum(tensor.bytes for tensor in (*self.inputs, *self.outputs))

    @property
    def name(self) -> str:
        """That of its layer: of ``net/add/Relu;net/conv/Conv2D`` it is ``conv``. Empty where none was kept."""
        path = self.outputs[0].name.split(";")[-1].split("/") if self.outputs else [""]
        name = path[-2] if len(path) > 1 else path[-1]
        return "" if name.startswith(_NO_LAYER) else name

    @property
    def compute_type(self) -> str:
        """What it multiplies in, by what it is given: int8 or float32."""
        given = [tensor.type for tensor in self.inputs if not tensor.constant] or ["int8"]
        return "float32" if given[0].startswith(("float", "bfloat")) else "int8"


def operators(model: bytes) -> tuple[Operator, ...]:
    """Every operator of the main graph of a flatbuffer that is whole."""
    tree = schema.ModelT.InitFromPackedBuf(model)
    graph = tree.subgraphs[0]
    tensors = [_tensor(tree, tensor) for tensor in graph.tensors]
    return tuple(_operator(tree, tensors, index, each) for index, each in enumerate(_listed(graph.operators)))


def alone(model: bytes, indices: Sequence[int]) -> list[bytes]:
    """Models of one operator each, with its own weights; its activations are the inputs and outputs.

    Args:
        model: the flatbuffer.
        indices: of the operators.
    """
    tree = schema.ModelT.InitFromPackedBuf(model)
    return [_alone(tree, tree.subgraphs[0].operators[index]) for index in indices]


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
    held = [_has_data(cut, tensor) for tensor in alone.tensors]
    alone.inputs = np.array(sorted({place for place in only.inputs if place >= 0 and not held[place]}), np.int32)
    alone.outputs, alone.operators = only.outputs, [only]
    cut.subgraphs, cut.metadata, cut.metadataBuffer, cut.signatureDefs = [alone], None, None, None
    return packed(cut, sum(len(each.data) for each in cut.buffers if each.data is not None) + 1024)


def _operator(tree: Any, tensors: Sequence[Tensor], index: int, operator: Any) -> Operator:
    code = tree.operatorCodes[operator.opcodeIndex]
    kind = _NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)]
    given = [None if place < 0 else tensors[place] for place in _listed(operator.inputs)]
    outputs = tuple(tensors[place] for place in _listed(operator.outputs))
    count = _MACS.get(kind)
    return Operator(
        index=index,
        type=code.customCode.decode() if kind == "CUSTOM" else kind,
        inputs=tuple(tensor for tensor in given if tensor is not None),
        outputs=outputs,
        input_ids=tuple(int(place) for place in _listed(operator.inputs) if place >= 0),
        output_ids=tuple(int(place) for place in _listed(operator.outputs)),
        macs=count([tensor.shape if tensor else () for tensor in given], outputs[0].shape, operator) if count else 0,
        known=kind in _MACS or kind in _WITHOUT,
    )


def _tensor(tree: Any, tensor: Any) -> Tensor:
    return Tensor(
        name=tensor.name.decode() if tensor.name else "",
        shape=tuple(max(int(size), 1) for size in _listed(tensor.shape)),
        type=_TYPES.get(tensor.type, "unknown"),
        constant=_has_data(tree, tensor),
    )


def _has_data(tree: Any, tensor: Any) -> bool:
    return len(_listed(tree.buffers[tensor.buffer].data)) > 0


def _listed(vector: Any) -> Any:
    """An absent vector is an empty one."""
    return () if vector is None else vector


Count = Callable[[Sequence[Shape], Shape, Any], int]  # the shapes of inputs and of the output, and the operator


def _products(shapes: Sequence[Shape], out: Shape, operator: Any) -> int:
    """Of every number of the output, so many as it sums up: what the first factor has of the axis that vanishes."""
    return math.prod(out) * shapes[0][-2 if operator.builtinOptions.adjX else -1]


_MACS: dict[str, Count] = {
    "CONV_2D": lambda shapes, out, _: math.prod(out) * math.prod(shapes[1][1:]),  # kernel (out, h, w, in / groups)
    "DEPTHWISE_CONV_2D": lambda shapes, out, _: math.prod(out) * math.prod(shapes[1][1:3]),  # (1, h, w, out)
    "FULLY_CONNECTED": lambda shapes, out, _: math.prod(out) * shapes[1][-1],  # (out, in)
    "TRANSPOSE_CONV": lambda shapes, _, __: math.prod(shapes[2]) * math.prod(shapes[1][:3]),  # (out, h, w, in)
    "BATCH_MATMUL": _products,
}
_WITHOUT = (
    "ABS", "ADD", "ARG_MAX", "AVERAGE_POOL_2D", "CAST", "CONCATENATION", "DEQUANTIZE", "DIV", "EXP", "EXPAND_DIMS",
    "GELU", "HARD_SWISH", "L2_NORMALIZATION", "LEAKY_RELU", "LOGISTIC", "LOG_SOFTMAX", "MAXIMUM", "MAX_POOL_2D",
    "MEAN", "MINIMUM", "MIRROR_PAD", "MUL", "NEG", "PACK", "PAD", "PADV2", "PRELU", "QUANTIZE", "REDUCE_MAX", "RELU",
    "RELU6", "RELU_N1_TO_1", "RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "RSQRT", "SHAPE", "SLICE",
    "SOFTMAX", "SPLIT", "SQRT", "SQUARED_DIFFERENCE", "SQUEEZE", "STRIDED_SLICE", "SUB", "SUM", "TANH", "TILE",
    "TRANSPOSE", "UNPACK",
)  # fmt: skip
