"""The networks that were made for phones."""

from dataclasses import dataclass
from typing import Any

from edgecnn.build.architectures.attention import attended
from edgecnn.build.architectures.blocks import Relu, convolution, depthwise, image_of, inverted_residual, network
from edgecnn.build.architectures.scaling import Scaled
from edgecnn.preprocess import InputSpec

_V1_STAGES = ((64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 6, 2), (1024, 2, 2))  # width, blocks, stride of the first
_V2_STAGES = (  # table 2 of the paper: expansion, width, blocks, stride of the first
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


@dataclass(frozen=True, kw_only=True)
class MobileNetV1(Scaled):
    """Depthwise-separable convolutions (Howard et al. 2017, arXiv:1704.04861), for 224 px.

    Each block is a 3x3 depthwise and a 1x1 pointwise convolution, both with batch norm and ReLU.

    Attributes:
        relu6: no activation is over 6, as in the published weights; the paper has plain ReLU.
    """

    relu6: bool = False

    def build(self, spec: InputSpec, classes: int) -> Any:
        """See `edgecnn.build.recipe.Architecture`."""
        relu: Relu = "relu6" if self.relu6 else "relu"
        image = image_of(spec)
        x, number = convolution(image, self.wide(32), 3, stride=2, name="stem", relu=relu), 0
        for width, blocks, first_stride in _V1_STAGES:
            for block in range(self.deep(blocks)):
                number += 1
                name, stride = f"block{number}", 1 if block else first_stride
                x = depthwise(x, 3, stride=stride, name=f"{name}_depthwise", relu=relu)
                x = convolution(x, self.wide(width), 1, name=f"{name}_pointwise", relu=relu)
                x = attended(x, self.attention, name)
        return network(image, x, classes, "mobilenet_v1")


@dataclass(frozen=True, kw_only=True)
class MobileNetV2(Scaled):
    """Inverted residuals with linear bottlenecks (Sandler et al. 2018, arXiv:1801.04381), for 224 px.

    As in the paper, a narrower network has a last convolution of the full width.
    """

    def build(self, spec: InputSpec, classes: int) -> Any:
        """See `edgecnn.build.recipe.Architecture`."""
        image = image_of(spec)
        x, number = convolution(image, self.wide(32), 3, stride=2, name="stem", relu="relu6"), 0
        for expansion, width, blocks, first_stride in _V2_STAGES:
            for block in range(self.deep(blocks)):
                x = inverted_residual(
                    x,
                    self.wide(width),
                    size=3,
                    stride=1 if block else first_stride,
                    expansion=expansion,
                    attention=self.attention,
                    name=f"block{(number := number + 1)}",
                )
        x = convolution(x, max(1280, self.wide(1280)), 1, name="head", relu="relu6")
        return network(image, x, classes, "mobilenet_v2")
