"""What a flatbuffer computes: its operators, the layers that they come from, what each multiplies and moves."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

CASTS = ("QUANTIZE", "DEQUANTIZE")
_BITS = {
    "float64": 64, "int64": 64, "uint64": 64, "complex64": 64, "complex128": 128,
    "float32": 32, "int32": 32, "uint32": 32, "float16": 16, "bfloat16": 16, "int16": 16, "uint16": 16,
    "int8": 8, "uint8": 8, "bool": 8, "int4": 4, "uint4": 4, "int2": 2,
}  # fmt: skip

_NO_LAYER = "StatefulPartitionedCall"  # what the converter calls the outputs

Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """A tensor of a graph.

    Attributes:
        shape: a dimension whose size is not known before it runs counts as 1.
        type: as the schema names it, such as int8.
        dynamic: whether there is such a dimension.
        scales, zero_points: by which it is quantized: one of each, or one a channel; empty where it is not.
        buffer: the bytes of a constant, as the schema's reader has them.
    """

    name: str
    shape: Shape
    type: str
    constant: bool
    dynamic: bool = False
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    buffer: Any = field(default=None, repr=False, compare=False)

    @property
    def data(self) -> bytes | None:
        """What a constant is filled with."""
        return np.asarray(self.buffer, np.uint8).tobytes() if self.constant else None

    @property
    def bytes(self) -> int:
        """What it takes in memory; 0 of a type without a size, such as strings."""
        return -(-math.prod(self.shape) * _BITS.get(self.type, 0) // 8)


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One operator of a graph, in the order in which they run.

    Attributes:
        index: its place in its graph.
        type: as the schema names it, such as CONV_2D; of a custom operator its own name.
        inputs: activations and constants alike, in the schema's order; None is one that is left out.
        input_ids, output_ids: their places among the graph's tensors; -1 of one that is left out.
        macs: multiplications with accumulation. Those of convolutions, dense layers and products of matrices: what only
            adds, multiplies, compares or copies has none.
        known: whether its type is one of which that is known. Of another, macs is 0.
        options: the schema's, such as ``Conv2DOptionsT``; None where there are none.
    """

    index: int
    type: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    input_ids: tuple[int, ...]
    output_ids: tuple[int, ...]
    macs: int
    known: bool
    options: Any = field(default=None, repr=False, compare=False)

    @property
    def given(self) -> tuple[tuple[int, Tensor], ...]:
        """Every input that is not left out, behind its place among the graph's tensors."""
        return tuple((place, each) for place, each in zip(self.input_ids, self.inputs, strict=True) if each)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Each that it reads or writes."""
        return (*(tensor for _, tensor in self.given), *self.outputs)

    @property
    def bytes(self) -> int:
        """What must move: each tensor that it reads or writes, once."""
        return sum(tensor.bytes for tensor in self.tensors)

    @property
    def name(self) -> str:
        """That of its layer: of ``net/add/Relu;net/conv/Conv2D`` it is ``conv``. Empty where none was kept.

        The converter joins the names of what it fused, the first of them last. A cast belongs to the layer that it
        casts.
        """
        source = self.inputs[:1] if self.type in CASTS else self.outputs[:1]
        path = source[0].name.split(";")[-1].split("/") if source and source[0] else [""]
        if len(path) > 2 and path[-1].startswith("ReadVariableOp"):  # of the bias, behind the operator
            path.pop()
        name = path[-2] if len(path) > 1 else path[-1]
        return "" if name.startswith(_NO_LAYER) else name

    @property
    def compute_type(self) -> str:
        """What it multiplies in, by what it is given: int8 or float32."""
        types = [tensor.type for _, tensor in self.given if not tensor.constant] or ["int8"]
        return "float32" if types[0].startswith(("float", "bfloat")) else "int8"


def operators(model: bytes, *, all_graphs: bool = False) -> tuple[Operator, ...]:
    """Every operator of a flatbuffer that is whole.

    Args:
        model: the flatbuffer.
        all_graphs: not of the main graph alone: also of those that its control flow runs.
    """
    tree = _tree(model)
    return tuple(each for graph in tree.subgraphs[: None if all_graphs else 1] for each in _operators(tree, graph))


def ends(model: bytes) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Inputs and outputs of the main graph."""
    tree = _tree(model)
    graph = tree.subgraphs[0]
    inputs, outputs = (
        tuple(_tensor(tree, graph.tensors[place]) for place in _listed(places))
        for places in (graph.inputs, graph.outputs)
    )
    return inputs, outputs


def _tree(model: bytes) -> Any:
    """LiteRT's ``ModelT``, whose module is loaded here and not with this one: a device never needs it."""
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromPackedBuf(model)


@cache
def _names(enumeration: str) -> dict[int, str]:
    """The names of the schema's numbers."""
    from ai_edge_litert import schema_py_generated as schema

    return {value: name for name, value in vars(getattr(schema, enumeration)).items() if not name.startswith("_")}


def _operators(tree: Any, graph: Any) -> list[Operator]:
    tensors = [_tensor(tree, tensor) for tensor in _listed(graph.tensors)]
    return [_operator(tree, tensors, index, each) for index, each in enumerate(_listed(graph.operators))]


def _operator(tree: Any, tensors: Sequence[Tensor], index: int, operator: Any) -> Operator:
    code = tree.operatorCodes[operator.opcodeIndex]
    number = int(max(code.builtinCode, code.deprecatedBuiltinCode))
    kind = code.customCode.decode() if code.customCode else _names("BuiltinOperator").get(number, str(number))
    input_ids, output_ids = (tuple(map(int, _listed(each))) for each in (operator.inputs, operator.outputs))
    inputs = tuple(None if place < 0 else tensors[place] for place in input_ids)
    outputs = tuple(tensors[place] for place in output_ids)
    shapes, count = [tensor.shape if tensor else () for tensor in inputs], _MACS.get(kind)
    return Operator(
        index=index,
        type=kind,
        inputs=inputs,
        outputs=outputs,
        input_ids=input_ids,
        output_ids=output_ids,
        macs=count(shapes, outputs[0].shape, operator.builtinOptions) if count else 0,
        known=kind in _MACS or kind in _WITHOUT,
        options=operator.builtinOptions,
    )


def _tensor(tree: Any, tensor: Any) -> Tensor:
    shape, buffer = [int(size) for size in _listed(tensor.shape)], tree.buffers[tensor.buffer].data
    quantization = tensor.quantization
    return Tensor(
        name=tensor.name.decode() if tensor.name else "",
        shape=tuple(max(size, 1) for size in shape),
        type=_names("TensorType").get(tensor.type, "unknown").lower(),
        constant=len(_listed(buffer)) > 0,
        dynamic=-1 in (*shape, *_listed(tensor.shapeSignature)),
        scales=tuple(map(float, _listed(quantization.scale))) if quantization else (),
        zero_points=tuple(map(int, _listed(quantization.zeroPoint))) if quantization else (),
        buffer=buffer,
    )


def _listed(vector: Any) -> Any:
    """An absent vector is an empty one."""
    return () if vector is None else vector


Count = Callable[[Sequence[Shape], Shape, Any], int]  # the shapes of inputs and of the output, and the options


def _products(shapes: Sequence[Shape], out: Shape, options: Any) -> int:
    """Of every number of the output, so many as it sums up: what the first factor has of the axis that vanishes."""
    return math.prod(out) * shapes[0][-2 if getattr(options, "adjX", False) else -1]


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
