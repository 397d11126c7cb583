"""Looking into a converted file: its tensors, their types and scales, and the kernels of its layers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgecnn.bundle import packed

_TYPES = {value: name.lower() for name, value in vars(schema.TensorType).items() if not name.startswith("_")}
_KERNEL_OPERATORS = (schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.FULLY_CONNECTED)

_CASTS = (schema.BuiltinOperator.QUANTIZE, schema.BuiltinOperator.DEQUANTIZE)


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """A tensor of the file. ``scale`` and ``zero_point`` are those of a tensor with one scale, else None."""

    name: str
    type: str
    scale: float | None
    zero_point: int | None


@dataclass(frozen=True, kw_only=True)
class FileFacts:
    """What a file says of itself.

    Attributes:
        inputs: the tensors that a caller fills.
        outputs: the tensors that a caller reads.
        inner: all others.
        float_operators: the float tensors of each operator that computes in float.
        kernels: the weights of convolutions, (out, height, width, in), and of dense layers, (out, in).
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    inner: tuple[Tensor, ...]
    float_operators: tuple[tuple[str, ...], ...]
    kernels: tuple[Any, ...]


def inspect(model: bytes) -> FileFacts:
    """Read the facts of a flatbuffer that is known to be whole."""
    tree = schema.ModelT.InitFromPackedBuf(model)
    main = tree.subgraphs[0]
    edge = {*main.inputs, *main.outputs}
    inner = [tensor for index, tensor in enumerate(main.tensors) if index not in edge]
    inner += [tensor for graph in tree.subgraphs[1:] for tensor in graph.tensors]
    return FileFacts(
        inputs=tuple(_tensor(main.tensors[index]) for index in main.inputs),
        outputs=tuple(_tensor(main.tensors[index]) for index in main.outputs),
        inner=tuple(_tensor(tensor) for tensor in inner),
        float_operators=tuple(_float_operators(tree)),
        kernels=tuple(_kernels(tree)),
    )


def scores_first(model: bytes) -> bytes:
    """The file with its scores as the first output, wherever the converter put them; of one output as it is."""
    tree = schema.ModelT.InitFromPackedBuf(model)
    main = tree.subgraphs[0]
    ranks = [len(main.tensors[index].shape) for index in main.outputs]
    if ranks == sorted(ranks):
        return model
    main.outputs = np.array([index for _, index in sorted(zip(ranks, main.outputs, strict=True))], np.int32)
    return packed(tree, len(model))


def with_beta(model: bytes, beta: float) -> bytes:
    """The file whose last softmax multiplies its logits by this: the scores that it has at another temperature.

    LiteRT's own softmax takes it, and gives to the bit what a file with such logits gives; other readers may not.
    """
    tree = schema.ModelT.InitFromPackedBuf(model)
    softmax = [each for each in tree.subgraphs[0].operators if code_of(tree, each) == schema.BuiltinOperator.SOFTMAX]
    softmax[-1].builtinOptions.beta = beta
    return packed(tree, len(model))


def _tensor(tensor: Any) -> Tensor:
    quantization = tensor.quantization
    single = quantization is not None and quantization.scale is not None and len(quantization.scale) == 1
    return Tensor(
        name=tensor.name.decode(),
        type=_TYPES[tensor.type],
        scale=float(quantization.scale[0]) if single else None,
        zero_point=int(quantization.zeroPoint[0]) if single else None,
    )


def _float_operators(tree: Any) -> list[tuple[str, ...]]:
    found = []
    for graph in tree.subgraphs:
        for operator in graph.operators or ():
            tensors = [graph.tensors[index] for index in (*operator.inputs, *operator.outputs) if index >= 0]
            floats = tuple(t.name.decode() for t in tensors if t.type == schema.TensorType.FLOAT32)
            if floats and code_of(tree, operator) not in _CASTS:
                found.append(floats)
    return found


def code_of(tree: Any, operator: Any) -> int:
    """Which builtin operator it is."""
    code = tree.operatorCodes[operator.opcodeIndex]
    return int(max(code.builtinCode, code.deprecatedBuiltinCode))


def _kernels(tree: Any) -> list[Any]:
    kernels = []
    for graph in tree.subgraphs:
        for operator in graph.operators or ():
            if code_of(tree, operator) in _KERNEL_OPERATORS:
                tensor = graph.tensors[operator.inputs[1]]
                data = tree.buffers[tensor.buffer].data
                dtype = np.int8 if tensor.type == schema.TensorType.INT8 else np.float32
                kernels.append(np.frombuffer(data.tobytes(), dtype).reshape(tensor.shape))
    return kernels
