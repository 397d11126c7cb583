"""The quantization-aware form of a float model: its input pinned, its ranges those that calibration finds."""

from typing import Any

import numpy as np

from edgecnn.build.graph import Graph
from edgecnn.build.keras import keras
from edgecnn.build.pixels import Rows
from edgecnn.build.quantizable import quantization_aware
from edgecnn.preprocess import InputSpec

_PIXELS = 32 * 96 * 96  # of a batch whose every activation is in memory at once


def of(model: Any, spec: InputSpec, *, float_layers: frozenset[str] = frozenset()) -> Any:
    """A copy of a float model with fake quantization, its zeros kept and its input range pinned.

    Args:
        model: flat; (batch, height, width, channels) float32 to logits.
        spec: its input.
        float_layers: names of layers that stay in float.

    Raises:
        ModelError: a layer that cannot be quantized.
    """
    aware = quantization_aware(model, float_layers=float_layers)
    # The input's quantizer only ever widens, and images never leave this range.
    set_range(aware.get_layer(f"quant_{model.input_names[0]}"), *spec.range())
    return aware


def calibrate(aware: Any, model: Any, spec: InputSpec, calibration: Rows) -> None:
    """Begin with the ranges of the float model, instead of tfmot's [-6, 6], which takes 1,000 steps to forget.

    Args:
        aware: from `of`; its ranges are set.
        model: the float model that it was made of.
        spec: its input.
        calibration: (n, height, width, channels) uint8.
    """
    ranges = observe(model, spec, calibration)
    set_kernel_ranges(aware)
    for wrapper in aware.layers:
        low, high = ranges.get(wrapper.name.removeprefix("quant_"), (0.0, 0.0))
        if low < high:
            set_range(wrapper, min(low, 0.0), max(high, 0.0))


def set_kernel_ranges(aware: Any) -> None:
    """The range of each kernel, from the kernel as it is now; of a float model nothing."""
    for wrapper in aware.layers:
        set_kernel_range(wrapper)


def set_kernel_range(wrapper: Any) -> None:
    """The range of one layer's kernel, from the kernel as it is now."""
    for kernel, quantizer, variables in getattr(wrapper, "_weight_vars", ()):
        quantizer(kernel, True, weights=variables)


def observe(model: Any, spec: InputSpec, calibration: Rows) -> dict[str, tuple[float, float]]:
    """The smallest and the largest value that each layer puts out over these images in all its calls, by its name."""
    nodes = Graph.of(model).nodes
    outputs = keras.Model(model.inputs, [node.outputs for node in nodes])
    found: dict[str, tuple[float, float]] = {}
    batch = min(32, max(1, _PIXELS // (spec.height * spec.width)))
    for start in range(0, len(calibration), batch):
        values = outputs(spec.dequantize(calibration[start : start + batch]), training=False)
        for node, value in zip(nodes, values, strict=True):
            low, high = found.get(node.layer.name, (np.inf, -np.inf))
            array = value.numpy()
            found[node.layer.name] = (min(low, float(array.min())), max(high, float(array.max())))
    return found


def set_range(wrapper: Any, low: float, high: float) -> None:
    """The range of a layer's output, if that is rounded, and not over a range that is its operator's own."""
    for variable in wrapper.variables:
        if variable.name.endswith(("output_min:0", "output_max:0")):
            variable.assign(low if variable.name.endswith("output_min:0") else high)
