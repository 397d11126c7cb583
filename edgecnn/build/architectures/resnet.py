"""Residual networks."""

from dataclasses import dataclass
from typing import Any

from edgecnn.preprocess import InputSpec

_STEM_KERNEL = {1: 3, 2: 5, 4: 7}


@dataclass(frozen=True, kw_only=True)
class ResNet8:
    """Three residual blocks, the reference network of MLPerf Tiny (Banbury et al. 2021, arXiv:2106.07597).

    Skip connections as in He et al. 2016 (arXiv:1512.03385); a block that changes the size or the width has a 1x1
    convolution on its shortcut.

    Attributes:
        widths: channels of the first convolution and first block, of the second and of the third block.
        stem_stride: of the first convolution, 1, 2 or 4: 1 with a 3x3 kernel for 32 px images as in the paper; larger
            images take a larger stride, and a kernel of 5x5 or 7x7 that leaves no pixel out.
    """

    widths: tuple[int, int, int] = (16, 32, 64)
    stem_stride: int = 1

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        problems = []
        if len(self.widths) != 3 or min(self.widths) < 1:
            problems.append(f"ResNet8 takes three positive widths, not {self.widths}")
        if self.stem_stride not in _STEM_KERNEL:
            problems.append(f"ResNet8's stem_stride is 1, 2 or 4, not {self.stem_stride}")
        return problems

    def build(self, spec: InputSpec, classes: int) -> Any:
        """See `edgecnn.build.recipe.Architecture`."""
        from edgecnn.build.keras import keras

        layers = keras.layers

        def convolve(x: Any, width: int, size: int, stride: int, name: str) -> Any:
            x = layers.Conv2D(width, size, strides=stride, padding="same", use_bias=False, name=name)(x)
            return layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)

        image = x = layers.Input(spec.shape, batch_size=None, name="image")
        x = layers.ReLU(name="stem_relu")(
            convolve(x, self.widths[0], _STEM_KERNEL[self.stem_stride], self.stem_stride, "stem")
        )
        for number, width in enumerate(self.widths, start=1):
            name, stride, shortcut = f"block{number}", 1 if number == 1 else 2, x
            x = layers.ReLU(name=f"{name}_a_relu")(convolve(x, width, 3, stride, f"{name}_a"))
            x = convolve(x, width, 3, 1, f"{name}_b")
            if number > 1:
                shortcut = convolve(shortcut, width, 1, stride, f"{name}_shortcut")
            x = layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, shortcut]))
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        return keras.Model(image, layers.Dense(classes, name="logits")(x), name="resnet8")
