"""EfficientNet without what int8 dislikes."""

from dataclasses import dataclass
from typing import Any

from edgecnn.build.architectures.blocks import convolution, image_of, inverted_residual, network
from edgecnn.build.architectures.scaling import Scaled
from edgecnn.preprocess import InputSpec

_STAGES = (  # of EfficientNet-B0: size of the kernel, expansion, width, blocks, stride of the first
    (3, 1, 16, 1, 1),
    (3, 6, 24, 2, 2),
    (5, 6, 40, 2, 2),
    (3, 6, 80, 3, 2),
    (5, 6, 112, 3, 1),
    (5, 6, 192, 4, 2),
    (3, 6, 320, 1, 1),
)


@dataclass(frozen=True, kw_only=True)
class EfficientNetLite0(Scaled):
    """EfficientNet (Tan and Le 2019, arXiv:1905.11946) with ReLU6 and without squeeze-and-excite, for 224 px.

    "Lite" is the authors' own (github.com/tensorflow/tpu, models/official/efficientnet/lite). There, the first and the
    last convolution and the depth of the first and the last stage stay as they are at any scale. The published weights
    take (pixel - 127) / 128.

    Layers are named ``stem``, ``blockI_expand``, ``blockI_depthwise``, ``blockI_project`` (I from 0 over all stages,
    as in the published weights), ``head`` and ``logits``; each convolution has a batch norm, ``NAME_bn``.
    """

    def build(self, spec: InputSpec, classes: int) -> Any:
        """See `edgecnn.build.recipe.Architecture`."""
        image = image_of(spec)
        x, number = convolution(image, 32, 3, stride=2, name="stem", relu="relu6"), 0
        for stage in _STAGES:
            size, expansion, width, blocks, first_stride = stage
            for block in range(blocks if stage in (_STAGES[0], _STAGES[-1]) else self.deep(blocks)):
                x = inverted_residual(
                    x,
                    self.wide(width),
                    size=size,
                    stride=1 if block else first_stride,
                    expansion=expansion,
                    attention=self.attention,
                    name=f"block{number}",
                )
                number += 1
        x = convolution(x, 1280, 1, name="head", relu="relu6")
        return network(image, x, classes, "efficientnet_lite")


@dataclass(frozen=True, kw_only=True)
class EfficientNetLite1(EfficientNetLite0):
    """The next larger one, for 240 px; see `EfficientNetLite0`."""

    depth: float = 1.1


@dataclass(frozen=True, kw_only=True)
class EfficientNetLite2(EfficientNetLite0):
    """The one after that, for 260 px; see `EfficientNetLite0`."""

    width: float = 1.1
    depth: float = 1.2
