"""The first stage: train the float network, and keep it as a ``.tflite`` too, the baseline of every comparison."""

from dataclasses import dataclass
from typing import ClassVar

from edgecnn.build.recipe import Artifact, Context, Kind
from edgecnn.files import write_atomically

FLOAT_FILE = "float.tflite"


@dataclass(frozen=True, kw_only=True)
class Train:
    """Adam, a cosine schedule, cross-entropy.

    Attributes:
        epochs: how often every training image is seen.
        batch_size: images a step.
        learning_rate: at the start.
    """

    epochs: int
    batch_size: int = 64
    learning_rate: float = 3e-3

    name: ClassVar[str] = "train"
    takes: ClassVar[tuple[Kind, ...]] = ()
    makes: ClassVar[Kind] = "keras"
    revision: ClassVar[int] = 1

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        return fit_problems("Train", self.epochs, self.batch_size, self.learning_rate)

    def run(self, artifact: Artifact | None, context: Context) -> Artifact:
        """Leaves the model's configuration, its weights and its float ``.tflite``."""
        from edgecnn.build import converter, fitting, models
        from edgecnn.build.keras import keras

        keras.backend.clear_session()
        keras.utils.set_random_seed(context.recipe.seed)
        model = context.recipe.architecture.build(context.recipe.input, len(context.data.labels))
        history = fitting.fit(
            model,
            context,
            stage=self.name,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
        )
        files = models.save_model(model, context.workspace)
        write_atomically(path := context.workspace / FLOAT_FILE, converter.float_file(model))
        return Artifact(kind=self.makes, files={**files, FLOAT_FILE: path}, metrics={"history": history})


def fit_problems(stage: str, epochs: int, batch_size: int, learning_rate: float) -> list[str]:
    """What is wrong with the settings that every training stage has."""
    problems = []
    if epochs < 1:
        problems.append(f"{stage} takes at least 1 epoch, not {epochs}")
    if batch_size < 1:
        problems.append(f"{stage} takes a batch_size of at least 1, not {batch_size}")
    if not 0 < learning_rate < 1:
        problems.append(f"{stage} takes a learning_rate between 0 and 1, not {learning_rate}")
    return problems
