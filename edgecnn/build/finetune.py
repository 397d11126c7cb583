"""Transfer learning: a network that knows other images learns the recipe's, from its last layer to its first."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from edgecnn.build.recipe import Artifact, Context, Kind, Recipe, counted
from edgecnn.build.schedule import Schedule
from edgecnn.build.start import Given, Start, give
from edgecnn.build.train import leave
from edgecnn.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class FineTune(Schedule):
    """Trains what is new, then the last blocks, then everything; see `Schedule`, each phase has one of its own.

    What is trained before the rest is ready for it would be pulled about by what is still random (gradual unfreezing),
    and what sees edges has less to learn than what sees hands: it learns slower (discriminative learning rates; both
    of Howard and Ruder 2018, arXiv:1801.06146).

    A block is the layers whose names are the same up to the first underscore. Layers without weights in ``start`` learn
    at the full rate in every phase. Batch norms keep the statistics of ``start`` as long as nothing before them is
    trained; then they learn those of the new images, at the new size, which a network that was trained on others, and
    larger ones, does not have.

    Attributes:
        start: where the weights come from.
        epochs: of the last phase, in which everything is trained, at least ``min_steps`` long.
        head_epochs: of the first, in which the last block and what is new are trained.
        last_epochs: of the second, in which the last ``last_blocks`` blocks are.
        last_blocks: see there.
        learning_rate: of the last block in the second and the third phase, at its highest.
        head_learning_rate: of the first phase.
        decay: the factor from the learning rate of a block to that of the one before it.
        batch_norms: train them, and their statistics, with the blocks that they are in; where not, they stay as they
            are in ``start`` in all phases, for photos that are fewer than make a batch or two.
    """

    start: Start
    head_epochs: int = 2
    last_epochs: int = 2
    last_blocks: int = 4
    learning_rate: float = 1e-3
    head_learning_rate: float = 3e-3
    warm_up: float = 0.1
    decay: float = 0.9
    batch_norms: bool = True

    name: ClassVar[str] = "fine-tune"
    takes: ClassVar[tuple[Kind | None, ...]] = (None, "teacher")
    makes: ClassVar[Kind] = "keras"
    revision: ClassVar[int] = 1

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        problems = super().problems() + self.start.problems()
        for name, least in (("head_epochs", 0), ("last_epochs", 0), ("last_blocks", 1)):
            if (value := getattr(self, name)) < least:
                problems.append(f"FineTune takes {name} of {least} and more, not {value}")
        if not 0 < self.head_learning_rate < 1:
            problems.append(f"FineTune takes a head_learning_rate between 0 and 1, not {self.head_learning_rate}")
        if not 0 < self.decay <= 1:
            problems.append(f"FineTune takes a decay from over 0 to 1, not {self.decay}")
        return problems

    def misfits(self, recipe: Recipe) -> list[str]:
        """What of a recipe the weights do not go with, one sentence each."""
        return self.start.misfits(recipe)

    def beyond(self, recipe: Recipe) -> tuple[Any, ...]:
        """The weights.

        Raises:
            MissingExtraError, UsageError: they are not there, or are not the right ones.
        """
        return (self.start.digest(recipe),)

    def check(self, model: Any, context: Context) -> None:
        """Make sure that there is something to start from.

        Raises:
            UsageError: no layer of the network has weights.
        """
        given = Given.of(model, self.start.arrays(context.recipe))
        if not given.taken:
            raise UsageError(
                "The weights are those of another network: none of them fits.",
                received=f"a network of {', '.join(given.fresh[:8])}, ...",
                accepted="weights of layers of the same names and shapes",
                remedy="take the architecture, the width and the depth of the network that the weights are of",
            )

    def run(self, artifact: Artifact | None, context: Context) -> Artifact:
        """Leaves what `edgecnn.build.train.Train` leaves."""
        from edgecnn.build import fitting, models

        arrays = self.start.arrays(context.recipe)  # before the session in which the network is built
        model = models.build(context.recipe.architecture, context)
        given, blocks = give(model, arrays), blocks_of(model)
        context.progress.say(f"{self.name}: {_told(given)}")
        history, phases = [], self.phases(len(blocks))
        for part, phase in enumerate(phases):
            epochs = phase.schedule.epochs_for(len(context.data["train"]))
            context.progress.say(f"{self.name}: {phase.what} for {counted(epochs, 'epoch')}")
            rates = self._rates(model, blocks, given, phase)
            history += fitting.fit(model, context, phase.schedule, part=part, rates=rates)
        return Artifact(
            kind=self.makes,
            files=leave(model, context),
            metrics={"history": history, "start": given.as_json(self.start, context.recipe)},
        )

    def phases(self, blocks: int) -> "list[Phase]":
        """What is trained of a network of so many blocks, in order; a phase of no epochs is left out."""
        last = min(self.last_blocks, blocks)
        first = replace(self, epochs=self.head_epochs, min_steps=0, learning_rate=self.head_learning_rate)
        second = replace(self, epochs=self.last_epochs, min_steps=0)
        phases = (Phase("what is new", 1, first), Phase(f"the last {last} blocks", last, second))
        return [*(each for each in phases if each.schedule.epochs), Phase("all blocks", blocks, self)]

    def _rates(self, model: Any, blocks: list[str], given: Given, phase: "Phase") -> Callable[[str], float]:
        """The factor of each layer's learning rate in a phase."""
        from edgecnn.build.keras import keras

        rates = {}
        for layer in model.layers:
            is_norm = isinstance(layer, keras.layers.BatchNormalization)
            depth = blocks[::-1].index(block_of(layer.name)) if layer.weights else 0
            held = depth >= phase.blocks or (is_norm and (phase.blocks == 1 or not self.batch_norms))
            rates[layer.name] = 1.0 if layer.name in given.fresh else 0.0 if held else self.decay**depth
        return rates.__getitem__


@dataclass(frozen=True)
class Phase:
    """A part of the training: what users see, how many of the last blocks are trained, and how."""

    what: str
    blocks: int
    schedule: FineTune


def block_of(layer: str) -> str:
    """The block that a layer is of, by its name."""
    return layer.split("_")[0]


def blocks_of(model: Any) -> list[str]:
    """The blocks of a Keras model that have weights, from the image to the logits."""
    return list(dict.fromkeys(block_of(layer.name) for layer in model.layers if layer.weights))


def _told(given: Given) -> str:
    fresh = f"; {', '.join(given.fresh[:8])}{', ...' * (len(given.fresh) > 8)} begin at random" if given.fresh else ""
    return f"{counted(len(given.taken), 'layer')} of {len(given.taken) + len(given.fresh)} begin as they were{fresh}"
