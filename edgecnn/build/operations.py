"""Operations that stand in a functional model between its layers (``x * y``, ``tf.nn.relu6(x)``), as layers."""

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.build.custom_layers import ChannelPooling
from edgecnn.build.graph import is_tensor
from edgecnn.build.keras import keras

if TYPE_CHECKING:
    from edgecnn.build.canonical import Rewriting

layers = keras.layers

_JOINS = {
    **dict.fromkeys(("__operators__.add", "math.add"), layers.Add),
    **dict.fromkeys(("__operators__.mul", "math.multiply"), layers.Multiply),
    **{"math.subtract": layers.Subtract, "math.maximum": layers.Maximum, "math.minimum": layers.Minimum},
}
_REDUCTIONS = {
    "math.reduce_mean": (layers.GlobalAveragePooling2D, "mean"),
    "math.reduce_max": (layers.GlobalMaxPooling2D, "max"),
}


def _given(args: Any, kwargs: dict[str, Any], place: int, name: str, default: Any = None) -> Any:
    return args[place] if place < len(args) else kwargs.get(name, default)


def operation(to: "Rewriting", node: Any, args: Any, kwargs: dict[str, Any]) -> Any | None:
    """What an operation makes, by a layer; None where no layer is the same."""
    function, name = node.layer.get_config()["function"], node.layer.name
    x = args[0] if args else kwargs.get("x")
    if function in _JOINS or function == "math.truediv":
        return _arithmetic(to, function, name, x, _given(args, kwargs, 1, "y"))
    if function == "concat" and isinstance(x, list | tuple) and all(map(is_tensor, x)):
        return to.add(layers.Concatenate, name, list(x), axis=int(_given(args, kwargs, 1, "axis")))
    if not is_tensor(x):
        return None
    if function in _REDUCTIONS:
        return _reduction(to, function, name, x, args, kwargs)
    if function in ("reshape", "squeeze", "expand_dims"):
        return _reshape(to, name, x, node.outputs)
    if function == "clip_by_value":
        low, high = _given(args, kwargs, 1, "clip_value_min"), _given(args, kwargs, 2, "clip_value_max")
        numbers = isinstance(low, int | float) and isinstance(high, int | float)
        return to.add(layers.ReLU, name, x, max_value=float(high)) if numbers and low == 0 < high else None
    return _function(to, function, name, x, args, kwargs)


def _function(to: "Rewriting", function: str, name: str, x: Any, args: Any, kwargs: dict[str, Any]) -> Any | None:
    if function == "math.negative":
        return to.affine(x, name, -1.0, 0.0)
    if function == "nn.leaky_relu":
        return to.add(layers.LeakyReLU, name, x, alpha=float(_given(args, kwargs, 1, "alpha", 0.2)))
    settings = [*args[1:], *(value for key, value in kwargs.items() if key not in ("name", "x"))]
    plain = function.startswith(("nn.", "math.")) and all(each is None or each is False for each in settings)
    return to.activation(x, name, function.split(".")[-1]) if plain else None


def _reshape(to: "Rewriting", name: str, x: Any, result: Any) -> Any | None:
    """A reshape that keeps the images of a batch apart."""
    before, after = x.shape[1:], result.shape[1:]
    if None in (*before, *after) or prod(before) != prod(after):
        return None
    return to.add(layers.Reshape, name, x, target_shape=tuple(after))


def _arithmetic(to: "Rewriting", function: str, name: str, x: Any, y: Any) -> Any | None:
    tensors = [is_tensor(each) for each in (x, y)]
    kind = _JOINS.get(function)
    if all(tensors):
        return to.join(kind, name, [x, y]) if kind and len(x.shape) == len(y.shape) else None
    (tensor, constant), turned = ((x, y), False) if tensors[0] else ((y, x), True)
    constant = np.asarray(constant, np.float64)
    if kind is layers.Add:
        return to.affine(tensor, name, 1.0, constant)
    if kind is layers.Subtract:
        return to.affine(tensor, name, -1.0, constant) if turned else to.affine(tensor, name, 1.0, -constant)
    if kind is layers.Multiply:
        return to.affine(tensor, name, constant, 0.0)
    if kind is layers.Maximum and constant.ndim == 0 and constant == 0:
        return to.add(layers.ReLU, name, tensor)
    if function == "math.truediv" and not turned and constant.all():
        return to.affine(tensor, name, 1 / constant, 0.0)
    return None


def _reduction(to: "Rewriting", function: str, name: str, x: Any, args: Any, kwargs: dict[str, Any]) -> Any | None:
    (pooling, kind), axis = _REDUCTIONS[function], _given(args, kwargs, 1, "axis")
    keepdims = bool(_given(args, kwargs, 2, "keepdims", False))
    if len(x.shape) != 4 or axis is None:
        return None
    axes = sorted(int(each) % 4 for each in np.ravel(axis))
    if axes == [1, 2]:
        return to.add(pooling, name, x, keepdims=keepdims)
    if axes == [3]:
        pooled = to.add(ChannelPooling, name, x, kind=kind)
        return pooled if keepdims else to.add(layers.Reshape, f"{name}_flat", pooled, target_shape=x.shape[1:3])
    return None
