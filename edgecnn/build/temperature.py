"""Scores that mean what they say: one temperature for all logits, folded into the layer that makes them.

Guo et al. 2017, arXiv:1706.04599. The file then needs nothing that a reader of `.tflite` files would not know: its
softmax is the plain one, and its best class is what it was.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.build import feed
from edgecnn.build.graph import Graph, activation_of, made_by
from edgecnn.build.keras import tf
from edgecnn.build.recipe import Context

LOWEST, HIGHEST = 0.25, 10.0  # where nothing is wrong on validation the best temperature is 0, which nobody believes

_MAKING = ("Dense", "Conv2D", "DepthwiseConv2D", "BatchNormalization")
_MOVING = ("Dropout", "Flatten", "Reshape", "GlobalAveragePooling2D", "Activation")  # half of it makes half of it
_WEIGHTS = ("kernel", "depthwise_kernel", "bias", "kernel_min", "kernel_max", "gamma", "beta")
_RANGE = ("output_min", "output_max")


@dataclass(frozen=True, kw_only=True)
class Temperature:
    """What logits were divided by.

    Attributes:
        value: 1.0 where nothing was.
        note: why it is not the best one, empty where it is.
    """

    value: float = 1.0
    note: str = ""


def calibrate(model: Any, context: Context, like: Any | None = None) -> Temperature:
    """Fit a temperature to a network's logits on the validation split, and divide by it what makes them.

    Args:
        model: from (batch, height, width, channels) float32 to logits; the last layer with a kernel is changed.
        context: gives the images; without labels nothing is fitted.
        like: the float network, where the model is its quantization-aware form.
    """
    images = context.data["validation"]
    if not (context.data.labelled and len(images)):
        return Temperature(note="there are no labels to fit it to")
    path = _to_logits(like or model)
    if not path:
        return Temperature(note="no layer alone makes the logits")
    logits = feed.predict(model, images, context.recipe.input, progress=context.progress)
    fitted = best(logits, images.labels)
    value = told_apart(logits, fitted)
    _divide(model, path, value)
    notes = {LOWEST: "the lowest that is believed", HIGHEST: "the highest that is believed"}
    flat = f"{fitted:g} would make equal scores of different ones"
    return Temperature(value=value, note=notes.get(value, "") if value == fitted else flat)


def best(logits: NDArray[Any], labels: NDArray[np.int64]) -> float:
    """The temperature of the least negative log likelihood, from `LOWEST` to `HIGHEST`, to six places.

    The likelihood is concave in the inverse of the temperature, so its derivative is halved in on.

    Args:
        logits: (n, classes), n at least 1.
        labels: (n,), the true classes.
    """
    logits = np.asarray(logits, np.float64)
    true = logits[np.arange(len(labels)), labels]
    low, high = 1 / HIGHEST, 1 / LOWEST
    if _mean_under(logits, high) <= true.mean():
        return LOWEST
    if _mean_under(logits, low) >= true.mean():
        return HIGHEST
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if _mean_under(logits, middle) < true.mean() else (low, middle)
    return round(2 / (low + high), 6)


def told_apart(logits: NDArray[Any], temperature: float) -> float:
    """The temperature, lowered towards 1 in steps of a tenth until the file's 256 levels of scores keep its answers.

    A network that knows little gets a high temperature, and scores so near to each other that they become one level;
    then the first class would win. One answer, or one of 200, may go the other way.

    Args:
        logits: (n, classes).
        temperature: the best one.
    """
    answers, allowed = logits.argmax(axis=1), max(1, len(logits) // 200)

    def changed(at: float) -> int:
        weights = np.exp((logits - logits.max(axis=1, keepdims=True)) / at)
        levels = np.minimum(np.round(256 * weights / weights.sum(axis=1, keepdims=True)), 255)
        return int((levels.argmax(axis=1) != answers).sum())

    most = changed(1.0) + allowed
    while temperature > 1 and changed(temperature) > most:
        temperature = max(1.0, round(0.9 * temperature, 6))
    return temperature


def _mean_under(logits: NDArray[np.float64], inverse: float) -> float:
    """The mean logit that the scores of a temperature expect; it grows with the temperature's inverse."""
    weights = np.exp((logits - logits.max(axis=1, keepdims=True)) * inverse)
    return float(((weights * logits).sum(axis=1) / weights.sum(axis=1)).mean())


def _to_logits(model: Any) -> list[str]:
    """The names of the layers from the last one with weights to the end, none where no layer alone decides."""
    graph, names = Graph.of(model), []
    node = made_by(model.outputs[0])
    while not node.is_input and graph.calls[node.layer] == 1 == len(graph.takers[id(node.outputs)]):
        layer, kind = node.layer, type(node.layer).__name__
        names.append(layer.name)
        if activation_of(layer) != "linear" or kind not in (*_MAKING, *_MOVING):
            break
        if kind in _MAKING:
            return names[::-1] if getattr(layer, "scale", True) else []
        node = made_by(tf.nest.flatten(node.call_args[:1])[0])
    return []


def _divide(model: Any, path: list[str], temperature: float) -> None:
    """Divide a layer's kernel and bias; in a quantization-aware model, also every range from there to the end."""
    named = {layer.name: layer for layer in model.layers}
    for number, name in enumerate(path):
        layer = named.get(f"quant_{name}") or named[name]
        for variable in layer.variables:
            kind = variable.name.split("/")[-1].split(":")[0]
            if kind in _RANGE or (kind in _WEIGHTS and number == 0):
                variable.assign(variable / temperature)
