"""Where a build measures latencies: this computer, or another that the model is for."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from edgecnn import targets
from edgecnn.bench import interleaved, prepare
from edgecnn.latency import host_facts

OnRun = Callable[[int, int], None]


def unseen(done: int, total: int) -> None:
    """Where nobody looks."""


class Board(Protocol):
    """A computer that runs models and measures how long they take."""

    def facts(self) -> Mapping[str, Any]:
        """What its latencies depend on: ``on``, its name where it is another computer, `host_facts`, and ``runtime``.

        Raises:
            DeviceError: it cannot be reached, or cannot measure.
        """

    def p50s_ms(self, models: Sequence[bytes], *, runs: int, on_run: OnRun = unseen) -> list[float]:
        """The median latency of each file in ms: one thread, random inputs, the files in turn.

        Args:
            models: flatbuffers or bundles.
            runs: timed invokes of each, after the warm-up.
            on_run: told how many of them are done, and how many there are.

        Raises:
            DeviceError: it cannot be reached any more, or cannot run one of them.
        """


class ThisComputer:
    """The one that builds."""

    def facts(self) -> Mapping[str, Any]:
        """See `Board`."""
        here = (name for name, target in targets.TARGETS.items() if target.general and target.installed())
        return {"on": None, **host_facts(), "runtime": next(here, None)}

    def p50s_ms(self, models: Sequence[bytes], *, runs: int, on_run: OnRun = unseen) -> list[float]:
        """See `Board`."""
        load = targets.choose().load
        stats = interleaved([prepare(load(model, threads=1)) for model in models], runs=runs, on_run=on_run)
        return [each.p50_ms for each in stats]
