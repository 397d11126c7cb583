"""The limits of the Edge TPU that Coral documents, held against a file: a screen, and no compiler.

After "TensorFlow models on the Edge TPU" (https://coral.ai/docs/edgetpu/models-intro/). The compiler has more limits
than it documents, such as how large a tensor may be; what passes here may still fail there.
"""

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from edgecnn.operators import Operator, Tensor
from edgecnn.targets.compiling import AFTER, layer_of

SOFTMAX_LIMIT = 16_000
SUPPORTED = frozenset((
    "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "EXPAND_DIMS", "FULLY_CONNECTED",
    "L2_NORMALIZATION", "LOGISTIC", "LSTM", "MAXIMUM", "MAX_POOL_2D", "MEAN", "MINIMUM", "MUL", "PACK", "PAD",
    "PRELU", "QUANTIZE", "REDUCE_MAX", "REDUCE_MIN", "RELU", "RELU6", "RELU_N1_TO_1", "RESHAPE",
    "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "RSQRT", "SLICE", "SOFTMAX", "SPACE_TO_DEPTH", "SPLIT",
    "SQUARED_DIFFERENCE", "SQUEEZE", "STRIDED_SLICE", "SUB", "SUM", "TANH", "TRANSPOSE", "TRANSPOSE_CONV",
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
))  # fmt: skip


def screen(operators: Sequence[Operator]) -> tuple[tuple[Operator, str], ...]:
    """What would be left to the CPU, and why: the first that breaks a limit, and all after it."""
    for place, operator in enumerate(operators):
        if why := problem(operator):
            after = f"{AFTER} {operator.type} of {layer_of(operator)}, which is left to the CPU"
            return ((operator, why), *((each, problem(each) or after) for each in operators[place + 1 :]))
    return ()


def problem(operator: Operator) -> str | None:
    """The first documented limit that an operator breaks."""
    if operator.type not in SUPPORTED:
        return f"{operator.type} is not on Coral's list of operators"
    for tensor in operator.tensors:
        if tensor.dynamic:
            return f"{tensor.name} has a size that is not known when it is compiled"
        if not _fixed_point(tensor):
            return f"{tensor.name} is {tensor.type}; tensors are 8-bit, quantized"
        if not tensor.constant and prod(tensor.shape[:-3]) > 1:
            return f"{tensor.name} has more than three dimensions over 1: {tensor.shape}"
    limit = _LIMITS.get(operator.type)
    return limit(operator) if limit else None


def _fixed_point(tensor: Tensor) -> bool:
    """8 bits; constants may be biases, axes and sizes, of 32 bits and more."""
    if tensor.type in ("int8", "uint8"):
        return bool(tensor.scales)
    return tensor.constant and tensor.type in ("int32", "int64")


def _option(operator: Operator, name: str, default: int = 0) -> int:
    return int(getattr(operator.options, name, default) or 0)


def _numbers(operator: Operator, place: int) -> list[int]:
    """A constant input of whole numbers, such as axes; empty where there is none."""
    tensor = operator.inputs[place] if len(operator.inputs) > place else None
    if tensor is None or tensor.data is None:
        return []
    return [int(each) for each in np.frombuffer(tensor.data, np.int64 if tensor.type == "int64" else np.int32)]


def _rank(operator: Operator) -> int:
    return len(operator.inputs[0].shape) if operator.inputs and operator.inputs[0] else 0


def _unfused(operator: Operator) -> str | None:
    return f"{operator.type} takes no fused activation" if _option(operator, "fusedActivationFunction") else None


def _concatenation(operator: Operator) -> str | None:
    constants = [each for each in operator.inputs if each and each.constant]
    if not constants:
        return _unfused(operator)
    if len(operator.inputs) > 2:
        return "CONCATENATION with a constant takes two inputs only"
    zeros = [_is_zero(each) for each in constants]
    return _unfused(operator) if all(zeros) else "CONCATENATION takes a constant of zeros only"


def _is_zero(tensor: Tensor) -> bool:
    return not any(tensor.data or b"")


def _convolution(operator: Operator) -> str | None:
    if not _constant(operator, 2):
        return f"{operator.type} takes a constant bias only"
    same = _option(operator, "dilationHFactor", 1) == _option(operator, "dilationWFactor", 1)
    return None if same else f"{operator.type} takes the same dilation in x and y only"


def _dense(operator: Operator) -> str | None:
    if not _constant(operator, 2):
        return "FULLY_CONNECTED takes a constant bias only"
    if _option(operator, "weightsFormat"):
        return "FULLY_CONNECTED takes weights in the default format only"
    flat = prod(operator.outputs[0].shape[:-1]) == 1
    return None if flat else f"FULLY_CONNECTED gives one dimension only, not {operator.outputs[0].shape}"


def _constant(operator: Operator, place: int) -> bool:
    """Whether a parameter is constant, or left out."""
    tensor = operator.inputs[place] if len(operator.inputs) > place else None
    return tensor is None or tensor.constant


def _mean(operator: Operator) -> str | None:
    rank, shape = _rank(operator), operator.inputs[0].shape if operator.inputs[0] else ()
    axes = {axis % rank for axis in _numbers(operator, 1)} if rank else set()
    if rank == 4 and 0 in axes:
        return "MEAN is not over the batch"
    return "MEAN over channels takes a multiple of 4 of them" if rank - 1 in axes and shape[-1] % 4 else None


def _not_batch(operator: Operator) -> str | None:
    """Reductions: not over the batch."""
    rank = _rank(operator)
    over_batch = rank == 4 and 0 in {axis % rank for axis in _numbers(operator, 1)}
    return f"{operator.type} is not over the batch" if over_batch else None


def _pack(operator: Operator) -> str | None:
    return "PACK is not along the batch" if _option(operator, "axis") == 0 else None


def _padding(operator: Operator) -> str | None:
    return "PAD does not pad the batch" if _rank(operator) == 4 and any(_numbers(operator, 1)[:2]) else None


def _prelu(operator: Operator) -> str | None:
    alpha = operator.inputs[1]
    narrow = alpha is not None and prod(alpha.shape[:-1]) == 1
    return None if narrow else "PRELU takes one slope a channel: shared_axes=[1, 2]"


def _softmax(operator: Operator) -> str | None:
    shape = operator.inputs[0].shape if operator.inputs[0] else ()
    if prod(shape[:-1]) != 1:
        return f"SOFTMAX takes one dimension only, not {shape}"
    return f"SOFTMAX takes {SOFTMAX_LIMIT:,} elements at most" if shape[-1] > SOFTMAX_LIMIT else None


def _split(operator: Operator) -> str | None:
    """Its axis is its first input."""
    axes, value = _numbers(operator, 0), operator.inputs[1]
    rank = len(value.shape) if value else 0
    return "SPLIT is not along the batch" if axes and rank and axes[0] % rank == 0 else None


def _squeeze(operator: Operator) -> str | None:
    """Supported where no relayout is needed: what goes are leading ones."""
    shape = operator.inputs[0].shape if operator.inputs[0] else ()
    leading = next((place for place, size in enumerate(shape) if size > 1), len(shape))
    return None if 1 not in shape[leading:] else f"SQUEEZE takes away leading ones only, of {shape}"


def _strides(operator: Operator) -> str | None:
    if _option(operator, "ellipsisMask") or _option(operator, "newAxisMask"):
        return "STRIDED_SLICE takes neither an ellipsis nor a new axis"
    strides = _numbers(operator, 3)
    return None if strides and set(strides) == {1} else "STRIDED_SLICE takes strides of 1 only"


def _three_dimensions(operator: Operator) -> str | None:
    shape = operator.inputs[0].shape if operator.inputs[0] else ()
    return None if len(shape) <= 4 else f"{operator.type} takes three dimensions only, not {shape}"


_LIMITS: dict[str, Callable[[Operator], str | None]] = {
    "AVERAGE_POOL_2D": _unfused,
    "CONCATENATION": _concatenation,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "FULLY_CONNECTED": _dense,
    "MAX_POOL_2D": _unfused,
    "MEAN": _mean,
    "PACK": _pack,
    "PAD": _padding,
    "PRELU": _prelu,
    "REDUCE_MAX": _not_batch,
    "REDUCE_MIN": _not_batch,
    "RESIZE_BILINEAR": _three_dimensions,
    "RESIZE_NEAREST_NEIGHBOR": _three_dimensions,
    "SOFTMAX": _softmax,
    "SPLIT": _split,
    "SQUEEZE": _squeeze,
    "STRIDED_SLICE": _strides,
    "SUM": _not_batch,
}
