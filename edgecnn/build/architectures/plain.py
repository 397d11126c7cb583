"""Convolution and pooling, and nothing else."""

from dataclasses import dataclass
from typing import Any

from edgecnn.build.architectures.attention import Attention, attended
from edgecnn.build.architectures.blocks import convolution, image_of, max_pooling, network
from edgecnn.preprocess import InputSpec


@dataclass(frozen=True, kw_only=True)
class ConvNet:
    """Stages of 3x3 convolutions with a pooling between them, after VGG (Simonyan and Zisserman 2014, arXiv:1409.1556).

    Each convolution has a batch norm (Ioffe and Szegedy 2015, arXiv:1502.03167), and the mean of each channel stands in
    the place of the large dense layers (Lin et al. 2013, arXiv:1312.4400).

    Attributes:
        widths: channels of each stage; a pooling halves the image from one to the next, so that an image of twice the
            size takes one more.
        depth: convolutions a stage.
        attention: what weighs the result of each stage; None for nothing.
    """

    widths: tuple[int, ...] = (32, 64, 128)
    depth: int = 2
    attention: Attention | None = None

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        problems = self.attention.problems() if self.attention else []
        if not self.widths or min(self.widths) < 1:
            problems.append(f"ConvNet takes positive widths, at least one, not {self.widths}")
        if self.depth < 1:
            problems.append(f"ConvNet takes a depth of at least 1, not {self.depth}")
        return problems

    def build(self, spec: InputSpec, classes: int) -> Any:
        """See `edgecnn.build.recipe.Architecture`."""
        image = x = image_of(spec)
        for stage, width in enumerate(self.widths, start=1):
            if stage > 1:
                x = max_pooling(x, 2, name=f"stage{stage}_pool")
            for number in range(1, self.depth + 1):
                x = convolution(x, width, 3, name=f"stage{stage}_conv{number}")
            x = attended(x, self.attention, f"stage{stage}")
        return network(image, x, classes, "convnet")
