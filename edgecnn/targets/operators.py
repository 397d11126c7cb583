"""What a flatbuffer computes: its operators, the layers that they come from, and the multiplications of each."""

from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any

import numpy as np

from edgecnn.targets.session import TensorInfo

CASTS = ("QUANTIZE", "DEQUANTIZE")
COMPUTED_IN_INTEGERS = ("int8", "uint8", "int16")


@dataclass(frozen=True, kw_only=True)
class Operand:
    """A tensor that an operator takes or makes. ``dynamic``: its shape is not known before it runs."""

    name: str
    shape: tuple[int, ...]
    type: str
    constant: bool
    dynamic: bool
    quantized: bool
    data: bytes | None

    @property
    def bytes(self) -> int:
        """How much room it takes."""
        return prod(self.shape) * {"float32": 4, "int32": 4, "int64": 8, "int16": 2}.get(self.type, 1)


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One operator. ``name`` is TensorFlow Lite's, such as CONV_2D, or of a custom one its own."""

    name: str
    inputs: tuple[Operand | None, ...]
    outputs: tuple[Operand, ...]
    macs: int
    options: Any

    @property
    def layer(self) -> str:
        """The layer that made it, by the name that the converter left; a cast belongs to what it casts."""
        source = self.inputs[0] if self.name in CASTS and self.inputs else None
        parts = (source or self.outputs[0]).name.split(";")[-1].split("/")
        return parts[-2] if len(parts) > 1 else parts[0]


def operators(model: bytes) -> tuple[Operator, ...]:
    """All operators of a flatbuffer that is known to be whole, in the order in which they run."""
    tree = _tree(model)
    return tuple(_operator(tree, graph, each) for graph in tree.subgraphs for each in graph.operators or ())


def edges(model: bytes) -> tuple[tuple[TensorInfo, ...], tuple[TensorInfo, ...]]:
    """Inputs and outputs, as the flatbuffer has them: for a file that no runtime of this computer loads."""
    tree = _tree(model)
    main = tree.subgraphs[0]
    inputs, outputs = (tuple(_info(main.tensors[i]) for i in places) for places in (main.inputs, main.outputs))
    return inputs, outputs


def custom_codes(model: bytes) -> tuple[str, ...]:
    """The names of custom operators, by which a vendor's compiler marks what it made."""
    tree = _tree(model)
    return tuple(code.customCode.decode() for code in tree.operatorCodes if code.customCode)


def _tree(model: bytes) -> Any:
    """LiteRT's ``ModelT``, whose module is loaded here and not with this one: a device never needs it."""
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromPackedBuf(model)


@cache
def _names(enumeration: str) -> dict[int, str]:
    """The names of the schema's numbers."""
    from ai_edge_litert import schema_py_generated as schema

    return {value: name for name, value in vars(getattr(schema, enumeration)).items() if not name.startswith("_")}


def _operator(tree: Any, graph: Any, operator: Any) -> Operator:
    code = tree.operatorCodes[operator.opcodeIndex]
    number = int(max(code.builtinCode, code.deprecatedBuiltinCode))
    name = code.customCode.decode() if code.customCode else _names("BuiltinOperator").get(number, str(number))
    inputs = tuple(_operand(tree, graph.tensors[i]) if i >= 0 else None for i in operator.inputs)
    outputs = tuple(_operand(tree, graph.tensors[i]) for i in operator.outputs)
    return Operator(
        name=name, inputs=inputs, outputs=outputs, macs=_macs(name, inputs, outputs), options=operator.builtinOptions
    )


def _operand(tree: Any, tensor: Any) -> Operand:
    data = tree.buffers[tensor.buffer].data
    signature = tensor.shapeSignature
    filled = data is not None and len(data) > 0
    return Operand(
        name=tensor.name.decode() if tensor.name else "",
        shape=_shape(tensor),
        type=_names("TensorType")[tensor.type].lower(),
        constant=filled,
        dynamic=signature is not None and -1 in list(signature),
        quantized=tensor.quantization is not None and tensor.quantization.scale is not None,
        data=np.asarray(data, np.uint8).tobytes() if filled else None,
    )


def _shape(tensor: Any) -> tuple[int, ...]:
    return () if tensor.shape is None else tuple(int(size) for size in tensor.shape)


def _macs(name: str, inputs: tuple[Operand | None, ...], outputs: tuple[Operand, ...]) -> int:
    """Multiplications with weights; the few of pooling and of sums are left out."""
    weights = inputs[1] if len(inputs) > 1 else None
    if weights is None or not outputs:
        return 0
    if name == "CONV_2D":
        return prod(outputs[0].shape) * prod(weights.shape[1:])
    if name == "DEPTHWISE_CONV_2D":
        return prod(outputs[0].shape) * prod(weights.shape[1:3])
    if name == "FULLY_CONNECTED":
        return prod(outputs[0].shape) * weights.shape[-1]
    if name == "TRANSPOSE_CONV" and len(inputs) > 2 and inputs[2] is not None:
        return prod(inputs[2].shape[:-1]) * prod(weights.shape)
    return 0


def _info(tensor: Any) -> TensorInfo:
    quantization = tensor.quantization
    single = quantization is not None and quantization.scale is not None and len(quantization.scale) == 1
    return TensorInfo(
        name=tensor.name.decode(),
        shape=_shape(tensor),
        dtype=np.dtype(_names("TensorType")[tensor.type].lower()),
        scale=float(quantization.scale[0]) if single else 0.0,
        zero_point=int(quantization.zeroPoint[0]) if single else 0,
    )
