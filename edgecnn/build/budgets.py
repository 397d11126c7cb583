"""What a model may take, from the command line: gates, and targets that channel pruning works towards."""

from dataclasses import dataclass, replace
from typing import Any

from edgecnn.build.distill import Distill
from edgecnn.build.prune import PruneChannels
from edgecnn.build.recipe import Gate, Recipe, Stage
from edgecnn.build.schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class Budgets:
    """None is no budget.

    Attributes:
        drop: largest difference between float and int8 accuracy, a fraction.
        size_bytes: of the file that ships.
        p50_ms: of its int8 latency on the build's board, one thread.
    """

    drop: float | None = None
    size_bytes: int | None = None
    p50_ms: float | None = None

    def on(self, recipe: Recipe) -> Recipe:
        """The recipe with these gates in the place of its own, and pruned to them."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        kept = tuple(gate for gate in recipe.gates if gate.name not in given)
        gates = (*kept, *(Gate(name=name, limit=value) for name, value in given.items()))
        targets = {name: value for name, value in given.items() if name != "drop"}
        return replace(recipe, gates=gates, stages=_pruned(recipe.stages, targets) if targets else recipe.stages)


def _pruned(stages: tuple[Stage, ...], targets: dict[str, Any]) -> tuple[Stage, ...]:
    """With channel pruning to these targets, right after the stage that gives the first float network."""
    if any(isinstance(stage, PruneChannels) for stage in stages):
        return tuple(replace(stage, **targets) if isinstance(stage, PruneChannels) else stage for stage in stages)
    first = next(place for place, stage in enumerate(stages) if stage.makes == "keras")
    like = next(stage for stage in stages if isinstance(stage, Schedule))
    prune = PruneChannels(
        **targets,
        epochs=-(-like.epochs // 2),
        min_steps=like.min_steps // 2,
        batch_size=like.batch_size,
        learning_rate=like.learning_rate,
        distill=Distill(),
    )
    return (*stages[: first + 1], prune, *stages[first + 1 :])
