"""What the architectures are made of: Keras tensors in, Keras tensors out, every layer named after its block."""

from typing import Any, Literal

from edgecnn.build.architectures.attention import Attention, attended
from edgecnn.preprocess import InputSpec

Relu = Literal["relu", "relu6"]


def image_of(spec: InputSpec) -> Any:
    """The input: (batch, height, width, channels) float32."""
    from edgecnn.build.keras import keras

    return keras.layers.Input(spec.shape, batch_size=None, name="image")


def network(image: Any, x: Any, classes: int, name: str) -> Any:
    """The model from the image to the logits (batch, classes), by the mean of each channel and a dense layer."""
    from edgecnn.build.keras import keras

    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, keras.layers.Dense(classes, name="logits")(x), name=name)


def convolution(x: Any, width: int, size: int, *, name: str, stride: int = 1, relu: Relu | None = "relu") -> Any:
    """A convolution without bias, its batch norm and its ReLU: ``NAME``, ``NAME_bn``, ``NAME_relu``."""
    from edgecnn.build.keras import keras

    x = keras.layers.Conv2D(width, size, strides=stride, padding="same", use_bias=False, name=name)(x)
    return _normed(x, name, relu)


def depthwise(x: Any, size: int, *, name: str, stride: int = 1, relu: Relu | None = "relu") -> Any:
    """A convolution of each channel by itself; else as `convolution`."""
    from edgecnn.build.keras import keras

    x = keras.layers.DepthwiseConv2D(size, strides=stride, padding="same", use_bias=False, name=name)(x)
    return _normed(x, name, relu)


def max_pooling(x: Any, size: int, *, name: str, stride: int = 2) -> Any:
    """The largest of each square; 'same' padding, so that even one pixel has a result."""
    from edgecnn.build.keras import keras

    return keras.layers.MaxPooling2D(size, strides=stride, padding="same", name=name)(x)


def inverted_residual(
    x: Any, width: int, *, size: int, stride: int, expansion: int, attention: Attention | None, name: str
) -> Any:
    """The block of MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381): wide inside, narrow and linear outside.

    ``NAME_expand`` (1x1, not where the expansion is 1), ``NAME_depthwise`` and ``NAME_project`` (1x1), each with its
    batch norm; attention weighs what is projected; the input is added where it has the same size and width.

    Args:
        x: (batch, height, width, channels).
        width: channels of the result.
        size: of the depthwise kernel.
        stride: of the depthwise convolution.
        expansion: how many times wider the inside is than ``x``.
        attention: see `edgecnn.build.architectures.attention`.
        name: before the names of the layers.
    """
    from edgecnn.build.keras import keras

    inside = x if expansion == 1 else convolution(x, x.shape[-1] * expansion, 1, name=f"{name}_expand", relu="relu6")
    inside = depthwise(inside, size, stride=stride, name=f"{name}_depthwise", relu="relu6")
    made = attended(convolution(inside, width, 1, name=f"{name}_project", relu=None), attention, name)
    same = stride == 1 and x.shape[-1] == width
    return keras.layers.Add(name=f"{name}_add")([made, x]) if same else made


def _normed(x: Any, name: str, relu: Relu | None) -> Any:
    from edgecnn.build.keras import keras

    x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-3, name=f"{name}_bn")(x)
    if relu is None:
        return x
    return keras.layers.ReLU(max_value=6.0 if relu == "relu6" else None, name=f"{name}_relu")(x)
