"""Residual networks."""

from dataclasses import dataclass
from typing import Any

from edgecnn.build.architectures.attention import Attention, attended
from edgecnn.build.architectures.blocks import convolution, image_of, max_pooling, network
from edgecnn.build.architectures.scaling import Scaled
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
        return problems + _stem_problems(self)

    def build(self, spec: InputSpec, classes: int) -> Any:
        """See `edgecnn.build.recipe.Architecture`."""
        image = image_of(spec)
        x = _stem(image, self.widths[0], self.stem_stride)
        for number, width in enumerate(self.widths, start=1):
            x = _block(x, width, stride=1 if number == 1 else 2, name=f"block{number}")
        return network(image, x, classes, "resnet8")


@dataclass(frozen=True, kw_only=True)
class ResNet20(Scaled):
    """The small residual network for 32 px images (He et al. 2016, arXiv:1512.03385, section 4.2).

    Three stages of three blocks; a depth of 5/3, 3 and 6 makes the paper's ResNet-32, 56 and 110. Where a stage changes
    size and width, its first block has a 1x1 convolution on its shortcut: the paper's option B, not the zeros of A.

    Attributes:
        stem_stride: of the first convolution, 1, 2 or 4; see `ResNet8`.
    """

    stem_stride: int = 1

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        return super().problems() + _stem_problems(self)

    def build(self, spec: InputSpec, classes: int) -> Any:
        """See `edgecnn.build.recipe.Architecture`."""
        image = image_of(spec)
        x = _stem(image, self.wide(16), self.stem_stride)
        return network(image, _stages(x, self, (16, 32, 64), blocks=3), classes, "resnet20")


@dataclass(frozen=True, kw_only=True)
class ResNet18(Scaled):
    """The residual network for 224 px images (He et al. 2016, arXiv:1512.03385, table 1): four stages of two blocks."""

    def build(self, spec: InputSpec, classes: int) -> Any:
        """See `edgecnn.build.recipe.Architecture`."""
        image = image_of(spec)
        x = max_pooling(convolution(image, self.wide(64), 7, stride=2, name="stem"), 3, name="stem_pool")
        return network(image, _stages(x, self, (64, 128, 256, 512), blocks=2), classes, "resnet18")


def _stages(x: Any, scale: Scaled, widths: tuple[int, ...], *, blocks: int) -> Any:
    """Stages of so many blocks at scale 1; each but the first halves the image."""
    for stage, width in enumerate(widths, start=1):
        for block in range(1, scale.deep(blocks) + 1):
            stride, name = 2 if block == 1 < stage else 1, f"stage{stage}_block{block}"
            x = _block(x, scale.wide(width), stride=stride, name=name, attention=scale.attention)
    return x


def _block(x: Any, width: int, *, stride: int, name: str, attention: Attention | None = None) -> Any:
    """Two convolutions, and what went in added to what comes out; attention weighs what is added (Hu et al. 2018)."""
    from edgecnn.build.keras import keras

    made = convolution(x, width, 3, stride=stride, name=f"{name}_a")
    made = attended(convolution(made, width, 3, name=f"{name}_b", relu=None), attention, name)
    if stride > 1 or x.shape[-1] != width:
        x = convolution(x, width, 1, stride=stride, name=f"{name}_shortcut", relu=None)
    return keras.layers.ReLU(name=f"{name}_relu")(keras.layers.Add(name=f"{name}_add")([made, x]))


def _stem(image: Any, width: int, stride: int) -> Any:
    return convolution(image, width, _STEM_KERNEL[stride], stride=stride, name="stem")


def _stem_problems(architecture: ResNet8 | ResNet20) -> list[str]:
    if architecture.stem_stride in _STEM_KERNEL:
        return []
    return [f"{type(architecture).__name__}'s stem_stride is 1, 2 or 4, not {architecture.stem_stride}"]
