"""Channel pruning: whole channels go, in steps with training between, and a smaller dense network is left."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from edgecnn.build.recipe import Artifact, Context, Kind, Recipe
from edgecnn.build.schedule import Schedule
from edgecnn.errors import GateError
from edgecnn.files import write_atomically

METRICS = ("macs", "size_bytes", "p50_ms")
_SAMPLES = 2048  # training images that the importance of a channel is measured on
_RUNS = 100


@dataclass(frozen=True, kw_only=True)
class PruneChannels(Schedule):
    """Removes channels until every target that is given is met, and trains between the steps; see `Schedule`.

    Of each group of channels that belong together, the least important ``multiple`` are one choice; what goes is the
    choice that costs least importance for what it saves. File, download and latency all shrink.

    Attributes:
        macs: at most so many multiplications with accumulation an image.
        size_bytes: at most so many bytes of the file that ships, measured by converting.
        p50_ms: at most this latency of the int8 file, one thread, measured on the build's board.
        steps: in how many steps, each by the same factor.
        step_epochs: trained after each step but the last, which trains for ``epochs``.
        multiple: counts of channels are multiples of this; XNNPACK's int8 kernels like 16, and 8 more than 4.
        criterion: ``taylor``, the first-order change of the loss without the channel (Molchanov et al. 2019,
            arXiv:1906.10771), or ``bn_scale``, the batch norm's scale (Liu et al. 2017, arXiv:1708.06519).
    """

    macs: int | None = None
    size_bytes: int | None = None
    p50_ms: float | None = None
    steps: int = 4
    step_epochs: int = 2
    multiple: int = 8
    criterion: Literal["taylor", "bn_scale"] = "taylor"

    name: ClassVar[str] = "prune-channels"
    takes: ClassVar[tuple[Kind | None, ...]] = ("keras",)
    makes: ClassVar[Kind] = "keras"
    revision: ClassVar[int] = 1

    @property
    def targets(self) -> dict[str, float]:
        """The targets that are given, by metric."""
        return {name: value for name in METRICS if (value := getattr(self, name)) is not None}

    @property
    def timed(self) -> bool:
        """Whether a latency decides which channels go."""
        return self.p50_ms is not None

    def beyond(self, recipe: Recipe) -> tuple[Any, ...]:
        """Class maps take bytes and time."""
        return ("class maps",) if _has_class_maps(recipe) else ()

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        problems = super().problems()
        if not self.targets:
            problems.append(f"PruneChannels takes a target: {', '.join(METRICS)}")
        problems += [f"PruneChannels takes a positive {name}, not {v}" for name, v in self.targets.items() if v <= 0]
        problems += [
            f"PruneChannels takes {name} of at least 1, not {value}"
            for name in ("steps", "step_epochs", "multiple")
            if (value := getattr(self, name)) < 1
        ]
        if self.criterion not in ("taylor", "bn_scale"):
            problems.append(f"PruneChannels takes the criterion taylor or bn_scale, not {self.criterion!r}")
        return problems

    def check(self, model: Any, context: Context) -> None:
        """Make sure, on a network that need not be trained, that its channels can be removed and the targets reached.

        Raises:
            ModelError: a layer cannot be followed.
            GateError: a target is out of reach.
        """
        from edgecnn.build.channels import Channels
        from edgecnn.build.importance import least

        channels = Channels(model)
        found = self._measured(channels.without(least(channels, self.multiple)), context)
        missed = {name: limit for name, limit in self.targets.items() if found[name] > limit}
        if missed:
            raise GateError(
                "A budget is out of reach of this network, however little is left of it.",
                received=", ".join(f"{name} {limit:g}" for name, limit in missed.items()),
                accepted=", ".join(f"{name} of {found[name]:g} and more" for name in missed)
                + f", which is what {self.multiple} channels everywhere take",
                remedy="a larger budget, or a smaller network",
            )

    def run(self, artifact: Artifact | None, context: Context) -> Artifact:
        """Leaves the smaller model's configuration and weights; ``metrics["pruning"]`` is the way there."""
        from edgecnn.build import converter, fitting, models

        model = models.load_model(context)
        way = [self._measured(model, context)]
        if all(way[0][name] <= limit for name, limit in self.targets.items()):
            context.progress.say(f"{self.name}: nothing to remove, {_told(way[0])}")
            files = {**models.save_model(model, context.workspace), **converter.save_ptq(model, context)}
            return Artifact(kind=self.makes, files=files, metrics={"pruning": way})
        for number in range(1, self.steps + 1):
            model, facts = self._step(model, context, number, way[0])
            context.progress.say(f"{self.name}: step {number}/{self.steps}, {_told(facts)}")
            last = number == self.steps
            if not last and facts["channels"] == way[-1]["channels"]:
                continue  # too little for a step: nothing to make up for
            schedule = self if last else replace(self, epochs=self.step_epochs, min_steps=0)
            history = fitting.fit(model, context, schedule, part=number)
            way.append({**facts, "val_accuracy": history[schedule.best(history)]["val_accuracy"]})
        return Artifact(
            kind=self.makes,
            files={**models.save_model(model, context.workspace), **converter.save_ptq(model, context)},
            metrics={"history": history, "pruning": way},
        )

    def _step(self, model: Any, context: Context, number: int, start: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """A smaller model, not trained yet: what was decided is on disk, for a latency is not measured twice alike."""
        from edgecnn.build import models

        prefix = f"step{number}_"
        decided = context.workspace / f"{prefix}facts.json"
        if not decided.exists():
            smaller, facts = self._shrunk(model, context, self._goals(start, number))
            models.save_model(smaller, context.workspace, prefix)
            write_atomically(decided, json.dumps(facts).encode())
        config, weights = (context.workspace / f"{prefix}{name}" for name in (models.CONFIG, models.WEIGHTS))
        return models.rebuilt(config, weights), json.loads(decided.read_text())

    def _goals(self, start: Mapping[str, Any], number: int) -> dict[str, float]:
        """The targets of one step: the same factor in each."""
        part = number / self.steps
        return {name: start[name] ** (1 - part) * limit**part for name, limit in self.targets.items()}

    def _shrunk(self, model: Any, context: Context, goals: Mapping[str, float]) -> tuple[Any, dict[str, Any]]:
        from edgecnn.build.channels import Channels
        from edgecnn.build.importance import importance, remove

        channels = Channels(model)
        images = context.data["train"].sample(_SAMPLES)
        scores = importance(model, channels, images, context.recipe.input, self.criterion)
        alive = np.ones(channels.count, bool)
        facts = self._measured(model, context)
        while any(facts[name] > goal for name, goal in goals.items()):
            # Bytes of the file and milliseconds are measured; what removes them is estimated: weights and MACs.
            cost = channels.cost(alive)
            over = {name: facts[name] / goal for name, goal in goals.items()}
            limits = {
                "macs": cost.macs / max(over.get("macs", 1.0), over.get("p50_ms", 1.0)),
                "size_bytes": cost.size_bytes - max(0.0, facts["size_bytes"] - goals.get("size_bytes", np.inf)),
            }
            fewer = remove(channels, alive, scores, limits, self.multiple)
            if fewer.sum() == alive.sum():
                break  # as far as it goes; the gate says so
            alive = fewer
            facts = self._measured(channels.without(alive), context)
        return channels.without(alive), facts

    def _measured(self, model: Any, context: Context) -> dict[str, Any]:
        from edgecnn.build import class_maps, converter
        from edgecnn.build.channels import Channels
        from edgecnn.build.dress import shipped_bytes

        channels = Channels(model)
        shipped = class_maps.added(model) if _has_class_maps(context.recipe) else model
        file = converter.ptq_file(shipped, context.recipe.input, context.data["calibration"].pixels[:8])
        widths = {layer: len(group.ids) for group in channels.groups for layer in group.layers}
        facts = {
            "macs": channels.cost(np.ones(channels.count, bool)).macs,
            "size_bytes": shipped_bytes(file, context),
            "channels": widths,
        }
        if self.p50_ms is not None:
            facts["p50_ms"] = context.board.p50s_ms([file], runs=_RUNS)[0]
        return facts


def _has_class_maps(recipe: Recipe) -> bool:
    """Whether the file that ships will have a second output, which takes bytes and time."""
    return any(getattr(stage, "class_maps", False) for stage in recipe.stages)


def _told(facts: Mapping[str, Any]) -> str:
    p50 = f", p50 {facts['p50_ms']} ms" if "p50_ms" in facts else ""
    return f"{facts['macs'] / 1e6:.2f} million MACs, {facts['size_bytes']:,} bytes{p50}"
