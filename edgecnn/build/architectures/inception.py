"""Convolutions of several sizes side by side."""

from dataclasses import dataclass
from typing import Any

from edgecnn.build.architectures.attention import attended
from edgecnn.build.architectures.blocks import convolution, image_of, max_pooling, network
from edgecnn.build.architectures.scaling import Scaled
from edgecnn.preprocess import InputSpec

_Widths = tuple[int, int, int, int, int, int]  # 1x1, before 3x3, 3x3, before 5x5, 5x5, behind the pooling
_STAGES: tuple[tuple[_Widths, ...], ...] = (  # table 1 of the paper: 3a and b, 4a to e, 5a and b
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)


@dataclass(frozen=True, kw_only=True)
class Inception(Scaled):
    """GoogLeNet (Szegedy et al. 2014, arXiv:1409.4842) with a batch norm behind each convolution, for 224 px.

    As in the paper but for the auxiliary classifiers, the local response normalization that the batch norms replace,
    and the dropout. A deeper network repeats the last module of a stage, a shallower one leaves out the last modules.
    """

    def build(self, spec: InputSpec, classes: int) -> Any:
        """See `edgecnn.build.recipe.Architecture`."""
        image = image_of(spec)
        x = max_pooling(convolution(image, self.wide(64), 7, stride=2, name="stem"), 3, name="stem_pool")
        x = convolution(x, self.wide(64), 1, name="stem_reduce")
        x = convolution(x, self.wide(192), 3, name="stem_conv")
        for stage, modules in enumerate(_STAGES, start=3):
            x = max_pooling(x, 3, name=f"stage{stage}_pool")
            for number in range(self.deep(len(modules))):
                widths = modules[min(number, len(modules) - 1)]
                x = self._module(x, widths, f"stage{stage}_module{number + 1}")
        return network(image, x, classes, "inception")

    def _module(self, x: Any, widths: _Widths, name: str) -> Any:
        from edgecnn.build.keras import keras

        one, before_three, three, before_five, five, pooled = map(self.wide, widths)
        reduced_three = convolution(x, before_three, 1, name=f"{name}_3x3_reduce")
        reduced_five = convolution(x, before_five, 1, name=f"{name}_5x5_reduce")
        branches = [
            convolution(x, one, 1, name=f"{name}_1x1"),
            convolution(reduced_three, three, 3, name=f"{name}_3x3"),
            convolution(reduced_five, five, 5, name=f"{name}_5x5"),
            convolution(max_pooling(x, 3, stride=1, name=f"{name}_pool"), pooled, 1, name=f"{name}_pool_conv"),
        ]
        return attended(keras.layers.Concatenate(name=name)(branches), self.attention, name)
