"""A small depthwise-separable network."""

from dataclasses import dataclass
from typing import Any

from edgecnn.preprocess import InputSpec


@dataclass(frozen=True, kw_only=True)
class SeparableNet:
    """Depthwise-separable convolutions, as in MobileNet (Howard et al. 2017, arXiv:1704.04861).

    A 3x3 convolution of stride 2, then one block (3x3 depthwise, 1x1 pointwise, each with batch norm and ReLU) for
    each further width, then global average pooling and a dense layer.

    Attributes:
        widths: channels of the first convolution and of each block.
        strides: of each block.
    """

    widths: tuple[int, ...] = (16, 32, 48, 48, 96, 96, 160, 160)
    strides: tuple[int, ...] = (1, 2, 1, 2, 1, 2, 1)

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        problems = []
        if len(self.widths) != len(self.strides) + 1 or min(self.widths) < 1:
            problems.append("SeparableNet takes one positive width more than strides")
        if not set(self.strides) <= {1, 2}:
            problems.append(f"SeparableNet's strides are 1 or 2, not {self.strides}")
        return problems

    def build(self, spec: InputSpec, classes: int) -> Any:
        """See `edgecnn.build.recipe.Architecture`."""
        from edgecnn.build.keras import keras

        layers = keras.layers
        image = x = layers.Input(spec.shape, batch_size=None, name="image")
        x = layers.Conv2D(self.widths[0], 3, strides=2, padding="same", use_bias=False, name="stem")(x)
        x = layers.ReLU(name="stem_relu")(layers.BatchNormalization(momentum=0.9, name="stem_bn")(x))
        for number, (width, stride) in enumerate(zip(self.widths[1:], self.strides, strict=True), start=1):
            depth, point = f"block{number}_depthwise", f"block{number}_pointwise"
            x = layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False, name=depth)(x)
            x = layers.ReLU(name=f"{depth}_relu")(layers.BatchNormalization(momentum=0.9, name=f"{depth}_bn")(x))
            x = layers.Conv2D(width, 1, use_bias=False, name=point)(x)
            x = layers.ReLU(name=f"{point}_relu")(layers.BatchNormalization(momentum=0.9, name=f"{point}_bn")(x))
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        return keras.Model(image, layers.Dense(classes, name="logits")(x), name="separable")
