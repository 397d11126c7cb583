"""Better post-training quantization than the converter's own: ranges that lose least, and biases that make up for it.

The converter stops after calibration, with a float file that carries a range for every tensor. What it would round is
run once more over the same images; then ranges and biases of that file are changed, and the converter goes on. The
file has the bytes and the operators that it would have had.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from ai_edge_litert import interpreter as litert
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgecnn.build.flatbuffer import code_of
from edgecnn.build.keras import tf
from edgecnn.bundle import packed
from edgecnn.preprocess import InputSpec, Pixels

Ranges = Literal["minmax", "mse"]
Floats = NDArray[np.float32]

_BINS, _STEPS, _LEAST = 2048, 40, 0.2  # of a histogram; ranges tried at each end; how far an end may move in
_PADDING = {schema.Padding.SAME: "SAME", schema.Padding.VALID: "VALID"}
_CONV, _DEPTHWISE, _DENSE = (
    schema.BuiltinOperator.CONV_2D,
    schema.BuiltinOperator.DEPTHWISE_CONV_2D,
    schema.BuiltinOperator.FULLY_CONNECTED,
)


def refined(calibrated: bytes, spec: InputSpec, images: Pixels, *, ranges: Ranges, correct_biases: bool) -> bytes:
    """A calibrated float file with other ranges and biases.

    Args:
        calibrated: a flatbuffer whose tensors carry the smallest and the largest value of calibration.
        spec: the network's input.
        images: (n, height, width, channels) uint8, those of calibration.
        ranges: ``mse`` gives each tensor the range of the least squared error of rounding to 8 bits (as in Banner et
            al. 2019, arXiv:1810.05723, found by search); ``minmax`` leaves what calibration saw.
        correct_biases: subtract from each bias the mean of what rounding the kernel adds (Nagel et al. 2019,
            arXiv:1906.04721, section 4.2, measured on data), each layer by itself, fed as in the float network.
    """
    tree = schema.ModelT.InitFromPackedBuf(calibrated)
    graph = tree.subgraphs[0]
    seen = _observed(calibrated, graph, spec, images)
    if ranges == "mse":
        for index, histogram in seen.histograms.items():
            quantization = graph.tensors[index].quantization
            quantization.min, quantization.max = ([end] for end in best_range(histogram, *_span(graph, index)))
    if correct_biases:
        for operator in graph.operators:
            _correct(tree, operator, seen.means)
    return packed(tree, len(calibrated))


@dataclass(frozen=True, kw_only=True)
class _Observed:
    """Of each tensor that an operator puts out: how its values spread between its ends, and their mean over images."""

    histograms: Mapping[int, NDArray[np.int64]]
    means: Mapping[int, NDArray[np.float64]]


def _observed(model: bytes, graph: Any, spec: InputSpec, images: Pixels) -> _Observed:
    runner = litert.Interpreter(
        model_content=model,
        experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    runner.allocate_tensors()
    image = runner.get_input_details()[0]["index"]
    made = {output for operator in graph.operators for output in operator.outputs if _is_calibrated(graph, output)}
    histograms = {index: np.zeros(_BINS, np.int64) for index in made}
    means = {index: np.zeros(runner.get_tensor(index).shape) for index in (*made, image)}
    for pixels in images:
        runner.set_tensor(image, spec.dequantize(pixels[np.newaxis]))
        runner.invoke()
        for index in means:
            values = runner.get_tensor(index)
            means[index] += values / len(images)
            if index in histograms:
                histograms[index] += np.histogram(values, _BINS, _span(graph, index))[0]
    return _Observed(histograms=histograms, means=means)


def _is_calibrated(graph: Any, index: int) -> bool:
    tensor = graph.tensors[index]
    quantization = tensor.quantization
    float_ = tensor.type == schema.TensorType.FLOAT32
    return bool(float_ and quantization and quantization.min is not None and _span(graph, index)[0] < quantization.max[0])


def _span(graph: Any, index: int) -> tuple[float, float]:
    quantization = graph.tensors[index].quantization
    return float(quantization.min[0]), float(quantization.max[0])


def best_range(histogram: NDArray[np.int64], low: float, high: float) -> tuple[float, float]:
    """The range within another one, with zero in it, whose 256 levels are nearest to the values in the mean square.

    Args:
        histogram: counts of values in bins of one width from ``low`` to ``high``.
        low: where the first bin begins.
        high: where the last bin ends.
    """
    width = (high - low) / len(histogram)
    values = low + width * (np.arange(len(histogram)) + 0.5)
    shares = np.linspace(_LEAST, 1.0, _STEPS)
    ends = [(a * min(low, 0.0), b * max(high, 0.0)) for a in (shares if low < 0 else [0.0]) for b in shares]
    return min(ends, key=lambda each: (_squared_error(values, histogram, *each), each[0] - each[1]))


def _squared_error(values: NDArray[np.float64], counts: NDArray[np.int64], low: float, high: float) -> float:
    scale = (high - low) / 255
    if scale == 0:
        return float("inf")
    zero_point = np.round(-low / scale)
    rounded = (np.clip(np.round(values / scale) + zero_point, 0, 255) - zero_point) * scale
    return float(counts @ (values - rounded) ** 2)


def _correct(tree: Any, operator: Any, means: Mapping[int, NDArray[np.float64]]) -> None:
    """Give an operator with a kernel a bias of its own, for equal ones may be one tensor."""
    graph, code = tree.subgraphs[0], code_of(tree, operator)
    if code not in (_CONV, _DEPTHWISE, _DENSE) or len(operator.inputs) < 3 or operator.inputs[2] < 0:
        return
    source, kernel_index, bias_index = (int(index) for index in operator.inputs[:3])
    kernel, bias = (_constant(tree, index) for index in (kernel_index, bias_index))
    if kernel is None or bias is None or source not in means:
        return
    error = rounded_kernel(kernel, depthwise=code == _DEPTHWISE) - kernel
    added = _applied(means[source].astype(np.float32), error, operator.builtinOptions, code)
    tensor = graph.tensors[bias_index]
    own = schema.TensorT()
    vars(own).update(vars(tensor))
    own.buffer, own.quantization = len(tree.buffers), schema.QuantizationParametersT()
    tree.buffers.append(schema.BufferT())
    tree.buffers[-1].data = np.frombuffer((bias - added).astype("<f4").tobytes(), np.uint8)
    operator.inputs = np.array([source, kernel_index, len(graph.tensors)], np.int32)
    graph.tensors.append(own)


def _constant(tree: Any, index: int) -> Floats | None:
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
