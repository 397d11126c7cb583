"""The two ends of a network: arithmetic on pixels at its front and a softmax at its end, which the file has anyway."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecnn.errors import ModelError

_Calls = Any  # of a layer, as in Keras's configurations: lists and dicts around references [layer, node, tensor, ...]


@dataclass(frozen=True, kw_only=True)
class Bare:
    """A network without its ends.

    Attributes:
        model: (batch, height, width, 1 or 3) float32 to logits (batch, classes).
        scale: what it takes is the input of the network that it was times this,
        offset: plus this.
    """

    model: Any
    scale: float
    offset: float


def bare(model: Any) -> Bare:
    """A network between its ends, with the same weights.

    Arithmetic that is the same for every pixel and channel becomes a scale and an offset: `Rescaling`, `Normalization`,
    ``image / 127.5 - 1``. It goes no further than the first layer that is something else.

    Args:
        model: flat and functional, of one input and one output; it is not changed.

    Raises:
        ModelError: it takes no images, or does not end in one score a class, of classes that exclude each other.
    """
    _check_images(model)
    config = model.get_config()
    ended = _drop_softmax(config)
    scale, offset = _drop_arithmetic(model, config)
    between = Bare(model=_rebuilt(model, config), scale=scale, offset=offset)
    _prove(model, between, ended)
    return between


def _check_images(model: Any) -> None:
    takes, gives = model.input_shape[1:], model.output_shape[1:]
    if len(takes) != 3 or takes[2] not in (1, 3) or len(gives) != 1:
        raise ModelError(
            "The network is no classifier of images.",
            received=f"{takes} to {gives}",
            accepted="(height, width, 1 or 3) to (classes,)",
            remedy="channels come last: train it with data_format='channels_last', and one score a class",
        )


def _drop_softmax(config: dict[str, Any]) -> bool:
    """Take the softmax off the end, if there is one."""
    last = next(layer for layer in config["layers"] if layer["name"] == config["output_layers"][0][0])
    kind, activation = last["class_name"], _activation(last)
    if activation not in ("linear", "softmax"):
        raise _no_scores(f"{last['name']} with the activation {activation}")
    if activation == "linear":
        return False
    if kind in ("Activation", "Softmax", "TFOpLambda"):
        _drop(config, last)
    else:
        last["config"]["activation"] = "linear"
    return True


def _activation(layer: dict[str, Any]) -> str:
    kind, settings = layer["class_name"], layer["config"]
    if kind in ("ReLU", "Softmax"):
        return str(kind).lower()
    if kind == "TFOpLambda":
        function = settings["function"].split(".")[-1]
        return function if function in ("relu", "sigmoid", "softmax") else "linear"
    activation = settings.get("activation") or "linear"
    return activation if isinstance(activation, str) else str(activation.get("class_name")).lower()


def _drop_arithmetic(model: Any, config: dict[str, Any]) -> tuple[float, float]:
    """Take arithmetic off the front; returns what it did."""
    image = config["input_layers"][0][0]
    scale, offset = 1.0, 0.0
    while True:
        takers = [layer for layer in config["layers"] if _references(layer["inbound_nodes"], image)]
        calls = _references([layer["inbound_nodes"] for layer in takers], image)
        found = _arithmetic(takers[0], calls[0], model) if len(calls) == 1 else None
        if found is None:
            return scale, offset
        scale, offset = scale * found[0], offset * found[0] + found[1]
        _drop(config, takers[0])


def _arithmetic(layer: dict[str, Any], call: list[Any], model: Any) -> tuple[float, float] | None:
    """The scale and the offset of a layer, where they are one number each."""
    kind, settings = layer["class_name"], layer["config"]
    if kind == "Rescaling":
        pair = settings["scale"], settings["offset"]
    elif kind == "Normalization" and not settings["invert"]:
        normalization = model.get_layer(layer["name"])
        deviation = np.maximum(np.sqrt(normalization.variance), 1e-7)  # as the layer does
        pair = 1 / deviation, -np.asarray(normalization.mean) / deviation
    elif kind == "TFOpLambda" and len(call) > 3:
        pair = _of_operation(settings["function"], call[3])
    else:
        return None
    scale, offset = map(_number, pair)
    return None if scale is None or offset is None else (scale, offset)


def _of_operation(function: str, arguments: dict[str, Any]) -> tuple[Any, Any]:
    value = _number(arguments.get("y"))
    if function == "cast" and "float32" in str(arguments.get("dtype")):
        return 1.0, 0.0
    if value is None:
        return None, None
    pairs = {
        "__operators__.add": (1.0, value),
        "math.add": (1.0, value),
        "math.subtract": (1.0, -value),
        "math.multiply": (value, 0.0),
        **dict.fromkeys(("math.truediv", "math.divide"), (1 / value if value else None, 0.0)),
    }
    return pairs.get(function, (None, None))


def _number(value: Any) -> float | None:
    """The one number that a value is, or repeats."""
    try:
        numbers = np.unique(np.asarray(value, np.float64))
    except (TypeError, ValueError):  # a tensor of the graph
        return None
    return float(numbers[0]) if numbers.size == 1 and np.isfinite(numbers[0]) else None


def _references(calls: _Calls, name: str) -> list[list[Any]]:
    """Every place where a call takes what a layer gives."""
    if isinstance(calls, dict):
        return _references(list(calls.values()), name)
    if not isinstance(calls, list):
        return []
    here = [calls] if len(calls) >= 3 and isinstance(calls[0], str) and calls[0] == name else []
    return here + [place for each in calls for place in _references(each, name)]


def _drop(config: dict[str, Any], layer: dict[str, Any]) -> None:
    """Take a layer of one input out: who took from it takes from that input."""
    source = layer["inbound_nodes"]
    while not isinstance(source[0], str):
        source = source[0]
    config["layers"].remove(layer)
    users = [each["inbound_nodes"] for each in config["layers"]]
    for reference in _references([users, config["output_layers"]], layer["name"]):
        reference[:3] = source[:3]


def _rebuilt(model: Any, config: dict[str, Any]) -> Any:
    """From the changed configuration, for any number of float32 images."""
    image = next(layer for layer in config["layers"] if layer["name"] == config["input_layers"][0][0])
    image["config"] |= {"batch_input_shape": (None, *model.input_shape[1:]), "dtype": "float32"}
    rebuilt = type(model).from_config(config)
    for layer in rebuilt.layers:
        layer.set_weights(model.get_layer(layer.name).get_weights())
    return rebuilt


def _prove(model: Any, between: Bare, ended: bool) -> None:
    """Both must make the same of noise; and what is called logits must not be scores already."""
    shape = (model.input_shape[0] or 2, *model.input_shape[1:])
    noise = np.random.default_rng(0).integers(0, 256, shape).astype(np.float32)
    expected = np.asarray(model(noise.astype(model.inputs[0].dtype.as_numpy_dtype), training=False), np.float64)
    logits = np.asarray(between.model(noise * between.scale + between.offset, training=False), np.float64)
    if not ended and (expected >= 0).all() and np.allclose(expected.sum(axis=1), 1, atol=1e-4):
        raise _no_scores("scores that sum to 1, from a layer that is no softmax")
    received = logits
    if ended:
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        received = exponents / exponents.sum(axis=1, keepdims=True)
    if not np.allclose(expected, received, rtol=1e-2, atol=1e-2 * max(1.0, float(np.abs(expected).max()))):
        raise ModelError(
            "Taking the ends off the network changed what it computes.",
            received=f"outputs that differ by up to {np.abs(expected - received).max():g}",
            accepted="the same outputs",
            remedy="call the last layer once only, and prepare images before the network; otherwise report this",
        )


def _no_scores(received: str) -> ModelError:
    return ModelError(
        "The network does not end in scores of classes that exclude each other.",
        received=received,
        accepted="logits, or a softmax over the classes",
        remedy="train it with a softmax as its last layer (and categorical cross-entropy), one output a class",
    )
