"""Around a fault in TensorFlow 2.21 with oneDNN on AVX-512, which writes past the end of an array.

It is in the gradient of the kernel of a 1x1 convolution of stride 2 over fewer than 16 channels: seen with odd batches,
and at 48 pixels with any. Where such a layer is trained it takes every second pixel first and is a convolution of
stride 1 then, which is the same. What is converted, and what runs on a device, is the layer as it was.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from edgecnn.build.keras import keras, tf

_SAFE_CHANNELS = 16


@contextmanager
def sound(model: Any) -> Iterator[None]:
    """In the block, gradients of a Keras model may be taken; what was traced before keeps the fault."""
    layers = [layer for layer in model._flatten_layers() if _is_narrow(layer)]
    for layer in layers:
        layer.convolution_op = partial(_of_every_second, layer.strides)
    try:
        yield
    finally:
        for layer in layers:
            del layer.convolution_op


def _is_narrow(layer: Any) -> bool:
    if type(layer) is not keras.layers.Conv2D or layer.kernel_size != (1, 1) or layer.strides == (1, 1):
        return False
    return bool(layer.groups == 1 and layer.kernel.shape[2] < _SAFE_CHANNELS)


def _of_every_second(strides: tuple[int, int], images: Any, kernel: Any) -> Any:
    return tf.nn.conv2d(images[:, :: strides[0], :: strides[1]], kernel, strides=1, padding="VALID")
