"""Better post-training quantization than the converter's own: ranges that lose least, and biases that make up for it.

The converter stops after calibration, with a float file that carries a range for every tensor. What it would round is
run once more over the same images; then ranges and biases of that file are changed, and the converter goes on. The
file has the bytes and the operators that it would have had.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from ai_edge_litert import interpreter as litert
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgecnn.build.bias_correction import correct
from edgecnn.build.flatbuffer import code_of
from edgecnn.build.pixels import Rows
from edgecnn.bundle import packed
from edgecnn.preprocess import InputSpec
from edgecnn.progress import Count

Ranges = Literal["minmax", "mse"]

_BINS, _STEPS, _LEAST = 2048, 40, 0.2  # of a histogram; ranges tried at each end; how far an end may move in


def refined(
    calibrated: bytes,
    spec: InputSpec,
    images: Rows,
    *,
    ranges: Ranges,
    correct_biases: bool,
    count: Count | None = None,
) -> bytes:
    """A calibrated float file with other ranges and biases.

    Args:
        calibrated: a flatbuffer whose tensors carry the smallest and the largest value of calibration.
        spec: the network's input.
        images: (n, height, width, channels) uint8, those of calibration.
        ranges: ``mse`` gives each tensor the range of the least squared error of rounding to 8 bits (as in Banner et
            al. 2019, arXiv:1810.05723, found by search), all but what goes into a softmax, whose few largest values
            are the answer; ``minmax`` leaves what calibration saw.
        correct_biases: subtract from each bias the mean of what rounding the kernel adds (Nagel et al. 2019,
            arXiv:1906.04721, section 4.2, measured on data), each layer by itself, fed as in the float network.
        count: each image is a step of it; None counts nowhere.
    """
    tree = schema.ModelT.InitFromPackedBuf(calibrated)
    graph = tree.subgraphs[0]
    seen = _observed(calibrated, graph, spec, count.over(images) if count else images, len(images))
    if ranges == "mse":
        scores = {source for operator in graph.operators if _is_softmax(tree, operator) for source in operator.inputs}
        for index, histogram in seen.histograms.items():
            if index in scores:
                continue
            quantization = graph.tensors[index].quantization
            quantization.min, quantization.max = ([end] for end in best_range(histogram, *_span(graph, index)))
    if correct_biases:
        for operator in graph.operators:
            correct(tree, operator, seen.means)
    return packed(tree, len(calibrated))


def _is_softmax(tree: Any, operator: Any) -> bool:
    return bool(code_of(tree, operator) == schema.BuiltinOperator.SOFTMAX)


@dataclass(frozen=True, kw_only=True)
class _Observed:
    """Of each tensor that an operator puts out: how its values spread between its ends, and their mean over images."""

    histograms: Mapping[int, NDArray[np.int64]]
    means: Mapping[int, NDArray[np.float64]]


def _observed(model: bytes, graph: Any, spec: InputSpec, images: Iterable[Any], number: int) -> _Observed:
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
            means[index] += values / number
            if index in histograms:
                histograms[index] += np.histogram(values, _BINS, _span(graph, index))[0]
    return _Observed(histograms=histograms, means=means)


def _is_calibrated(graph: Any, index: int) -> bool:
    tensor = graph.tensors[index]
    quantization = tensor.quantization
    float_ = tensor.type == schema.TensorType.FLOAT32
    return bool(
        float_ and quantization and quantization.min is not None and _span(graph, index)[0] < quantization.max[0]
    )


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
    values = np.asarray(low + width * (np.arange(len(histogram)) + 0.5))
    shares = np.linspace(_LEAST, 1.0, _STEPS)
    ends = [(a * min(low, 0.0), b * max(high, 0.0)) for a in (shares if low < 0 else [0.0]) for b in shares]
    return min(ends, key=lambda each: (_squared_error(values, histogram, *each), each[0] - each[1]))


def _squared_error(values: NDArray[Any], counts: NDArray[np.int64], low: float, high: float) -> float:
    scale = (high - low) / 255
    if scale == 0:
        return float("inf")
    zero_point = np.round(-low / scale)
    rounded = (np.clip(np.round(values / scale) + zero_point, 0, 255) - zero_point) * scale
    return float(counts @ (values - rounded) ** 2)
