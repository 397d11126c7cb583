"""Wider, deeper: how the networks of papers are scaled."""

from dataclasses import dataclass
from math import ceil

from edgecnn.build.architectures.attention import Attention

_MULTIPLE = 8


@dataclass(frozen=True, kw_only=True)
class Scaled:
    """A network of a paper, of any width and depth; the defaults are the paper's. The resolution is the recipe's input.

    Attributes:
        width: factor on the channels, which are then rounded to multiples of 8 as in MobileNet.
        depth: factor on the number of blocks of each stage, which is then rounded up (Tan and Le 2019,
            arXiv:1905.11946).
        attention: what weighs the result of each block, before anything is added to it; None for nothing.
    """

    width: float = 1.0
    depth: float = 1.0
    attention: Attention | None = None

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        factors = {"width": self.width, "depth": self.depth}
        problems = [
            f"{type(self).__name__} takes a positive {name}, not {factor}"
            for name, factor in factors.items()
            if not factor > 0
        ]
        return problems + (self.attention.problems() if self.attention else [])

    def wide(self, channels: int) -> int:
        """So many channels at this width: a multiple of 8 that is not under 90 % of what was asked for."""
        wanted = channels * self.width
        rounded = max(_MULTIPLE, int(wanted + _MULTIPLE / 2) // _MULTIPLE * _MULTIPLE)
        return rounded + _MULTIPLE if rounded < 0.9 * wanted else rounded

    def deep(self, blocks: int) -> int:
        """So many blocks at this depth."""
        return ceil(round(blocks * self.depth, 6))  # 10 * 1.1 is a little over 11
