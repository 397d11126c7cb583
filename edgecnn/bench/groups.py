"""Which channels of a file go together, and what it would save to have fewer of them: what to prune next.

A build decides by the weights what can go (`edgecnn.build.prune`). This decides by time, and by the file alone: a
convolution or a dense layer makes channels, what comes after passes them on (a sum ties those of its terms together),
and the next convolution or dense layer takes them. All of these do less when there are fewer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from edgecnn.operators import Operator

_MAKERS = ("CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
_KEPT = 0.75
_STEP = 16  # channels that a kernel computes at once: one more than a multiple costs nearly as much as all of them


@dataclass(frozen=True, kw_only=True)
class Group:
    """Channels that can only go together.

    Attributes:
        makers: indices of the operators that make them; of a sum there are several.
        takers: of those that take them.
        others: of those that pass them on.
        channels: how many there are.
        kept: about three quarters of them, a multiple of 16.
    """

    makers: tuple[int, ...]
    takers: tuple[int, ...]
    others: tuple[int, ...]
    channels: int
    kept: int

    def saves(self, times: Sequence[float], share: float) -> float:
        """What removing a share of them would save, if times fall as channels do: twice of who makes and takes them.

        Args:
            times: of each operator by its index, in any unit.
            share: 0 to 1.
        """
        both = {*self.makers} & {*self.takers}
        once = {*self.makers, *self.takers, *self.others} - both
        twice = 1 - (1 - share) ** 2
        return share * sum(times[index] for index in once) + twice * sum(times[index] for index in both)


def groups(operators: Sequence[Operator]) -> list[Group]:
    """The channels that may be fewer: not those of an input or an output of the network, and only more than 16."""
    owner = _owners(operators)
    made = {place for each in operators for place in each.output_ids}
    used = {place for each in operators for place in each.input_ids}
    fixed = {owner[place] for place in owner if place not in made or place not in used}
    found = []
    for root in sorted({*owner.values()} - fixed):
        members = {place for place in owner if owner[place] == root}
        makers = [each for each in operators if _makes(each) and members & {*each.output_ids}]
        takers = [each for each in operators if _makes(each) and members & {*each.input_ids}]
        others = [each for each in operators if not _makes(each) and members & {*each.output_ids}]
        channels = max((each.outputs[0].shape[-1] for each in makers), default=0)
        if (kept := _fewer(channels)) and takers:
            found.append(
                Group(
                    makers=tuple(each.index for each in makers),
                    takers=tuple(each.index for each in takers),
                    others=tuple(each.index for each in others),
                    channels=channels,
                    kept=kept,
                )
            )
    return found


def _owners(operators: Sequence[Operator]) -> dict[int, int]:
    """For each activation the one that stands for its group."""
    parents: dict[int, int] = {}

    def find(place: int) -> int:
        while parents.setdefault(place, place) != place:
            place = parents[place]
        return place

    for each in operators:
        activations = [place for place, tensor in each.given if not tensor.constant]
        for place in (*activations, *each.output_ids):
            find(place)
        if not _makes(each):
            roots = [find(place) for place in (*activations, *each.output_ids)]
            parents.update(dict.fromkeys(roots, min(roots)))
    return {place: find(place) for place in parents}


def _makes(operator: Operator) -> bool:
    return operator.type in _MAKERS


def _fewer(channels: int) -> int:
    """About three quarters; 0 where there are too few to take any away. 24 of 32 would take as long as 32."""
    return min(max(round(_KEPT * channels / _STEP), 1), (channels - 1) // _STEP) * _STEP
