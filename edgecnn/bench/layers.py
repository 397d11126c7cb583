"""Where the time of one invoke goes: each operator's, against the most that this computer can do; words and JSON."""

from dataclasses import dataclass
from typing import Any

from edgecnn.bench.groups import Group, groups
from edgecnn.bench.limits import Limits
from edgecnn.operators import Operator

_FAR = 0.15  # of the whole, that the sum may be off before a reader is warned
_NAMED = 3  # layers that are tied to another


@dataclass(frozen=True, kw_only=True)
class Layers:
    """The operators of a network, and what was measured.

    Attributes:
        operators: all of them, in order.
        times_ms: medians; None of those that no runtime takes alone.
        whole_ms: of the whole network, in the same rounds.
        empty_ms: what was subtracted from each operator's.
        sum_ratio: how many times the whole the sum of all is, round for round, with its 95 % interval.
        limits: of this computer.
        runs: timed invokes of each.
        warnings: what spoils the figures.
    """

    operators: tuple[Operator, ...]
    times_ms: tuple[float | None, ...]
    whole_ms: float
    empty_ms: float
    sum_ratio: tuple[float, list[float] | None]
    limits: Limits
    runs: int
    warnings: tuple[str, ...] = ()

    def limit_ms(self, operator: Operator) -> float:
        """The least that this computer could take for an operator: for its MACs or its bytes, whichever is longer.

        Bytes come from memory where they cannot stay in the last cache from one invoke to the next: weights, where all
        of the network's together are larger than it, and an activation that takes more than half of it.
        """
        limits = self.limits
        cold = sum(self._constants().values()) > limits.cache_bytes
        seconds = 0.0
        for tensor in operator.tensors:
            far = cold if tensor.constant else tensor.bytes > limits.cache_bytes / 2
            seconds += tensor.bytes / (limits.memory_bytes_per_s if far else limits.cache_bytes_per_s)
        if operator.macs:
            seconds = max(seconds, operator.macs / limits.macs_per_s[operator.compute_type])
        return 1e3 * seconds

    def _constants(self) -> dict[int, int]:
        """The bytes of each of the network's weights."""
        return {place: tensor.bytes for each in self.operators for place, tensor in each.given if tensor.constant}

    def prune_next(self) -> tuple[Group, float] | None:
        """The channels of which fewer would save most, and how many ms; None where there are none to spare."""
        times = [took or 0.0 for took in self.times_ms]
        best = max(groups(self.operators), key=lambda group: group.saves(times, 1 / 4), default=None)
        return (best, best.saves(times, 1 - best.kept / best.channels)) if best else None

    def as_json(self) -> dict[str, Any]:
        """``operators`` has an entry each; ``advice`` is the sentences that a person is told."""
        limits = self.limits
        return {
            "method": "estimate: each operator as a model of its own, in turn with the whole",
            "operators": [self._row(each) for each in self.operators],
            "whole_ms": round(self.whole_ms, 4),
            "sum_ms": round(sum(took or 0.0 for took in self.times_ms), 4),
            "sum_ratio": self.sum_ratio[0],
            "sum_ratio_interval": self.sum_ratio[1],
            "empty_ms": round(self.empty_ms, 4),
            "runs": self.runs,
            "macs": sum(each.macs for each in self.operators),
            "limits": {
                "macs_per_s": {kind: round(rate) for kind, rate in limits.macs_per_s.items()},
                "memory_bytes_per_s": round(limits.memory_bytes_per_s),
                "cache_bytes_per_s": round(limits.cache_bytes_per_s),
                "cache_bytes": limits.cache_bytes,
            },
            "prune_next": self._prune_next(),
            "advice": self._advice(),
            "warnings": [*self.warnings, *self._doubts()],
        }

    def _row(self, each: Operator) -> dict[str, Any]:
        took, limit = self.times_ms[each.index], self.limit_ms(each)
        total = sum(took or 0.0 for took in self.times_ms)
        return {
            "index": each.index,
            "type": each.type,
            "name": each.name,
            "output": list(each.outputs[0].shape) if each.outputs else [],
            "compute_type": each.compute_type,
            "time_ms": None if took is None else round(took, 5),
            "share": None if took is None or not total else round(took / total, 4),
            "macs": each.macs,
            "macs_known": each.known,
            "bytes": each.bytes,
            "limit_ms": round(limit, 5),
            "limit_share": round(limit / long, 4) if (long := self._comparable(each)) else None,
        }

    def _prune_next(self) -> dict[str, Any] | None:
        if (found := self.prune_next()) is None:
            return None
        group, saves = found
        return {
            "layers": [self.operators[index].name for index in group.makers],
            "operators": sorted({*group.makers, *group.takers, *group.others}),
            "channels": group.channels,
            "kept": group.kept,
            "saves_ms": round(saves, 4),
        }

    def _advice(self) -> list[str]:
        found = []
        total = sum(took or 0.0 for took in self.times_ms)
        if (best := self.prune_next()) and total:
            group, saves = best
            first, *more = (self.operators[index].name for index in group.makers)
            left = f" and {len(more) - _NAMED} more" if len(more) > _NAMED else ""
            named = ", ".join(more[:_NAMED]) + left
            tied = f" (and of {named}, which a sum ties to them)" if more else ""
            found.append(
                f"Prune next the {group.channels} channels of {first}{tied}: keeping {group.kept} would save about "
                f"{saves:.3g} ms, {saves / total:.0%}, if times fall as channels do."
            )
        if worst := self._loses_most():
            each, took = worst
            limit = self.limit_ms(each)
            found.append(
                f"{_called(each)} loses most to its limit: it takes {took:.3g} ms, and this computer could do it in "
                f"{limit:.2g} ({limit / took:.0%} of limit); the rest is {(took - limit) / total:.0%} of the time."
            )
        if unknown := sorted({each.type for each in self.operators if not each.known}):
            found.append(f"What these multiply is not known, and counted as nothing: {', '.join(unknown)}.")
        if missing := [each for each in self.operators if self.times_ms[each.index] is None]:
            named = ", ".join(_called(each) for each in missing)
            found.append(f"Not timed, for the runtime does not take them alone: {named}.")
        return found

    def _doubts(self) -> list[str]:
        ratio, interval = self.sum_ratio
        low, high = interval or (ratio, ratio)
        medians = sum(took or 0.0 for took in self.times_ms) / self.whole_ms
        if max(abs(ratio - 1), abs(medians - 1), (high - low) / 2) <= _FAR:
            return []
        return ["The operators do not sum up to the whole: something else was going on, or the runtime joins some."]

    def _loses_most(self) -> tuple[Operator, float] | None:
        """The operator that takes most ms above its limit, of those that have a share of it in the table, and its time.

        That is not the one with the least share of its limit, which may take no time worth a thought.
        """
        shared = ((each, took) for each in self.operators if (took := self._comparable(each)) is not None)
        worst = max(shared, key=lambda one: one[1] - self.limit_ms(one[0]), default=None)
        return worst if worst and worst[1] > self.limit_ms(worst[0]) else None

    def _comparable(self, each: Operator) -> float | None:
        """Its time; None where there is none, or it is shorter than what was subtracted."""
        took = self.times_ms[each.index]
        return took if took and took >= self.empty_ms else None


def _called(each: Operator) -> str:
    return f"{each.type} {each.name}".rstrip()
