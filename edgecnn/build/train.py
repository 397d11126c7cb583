"""The first stage: train the float network, and keep it as a ``.tflite`` too, the baseline of every comparison."""

from dataclasses import dataclass
from typing import ClassVar

from edgecnn.build.recipe import Artifact, Context, Kind
from edgecnn.build.schedule import Schedule
from edgecnn.files import write_atomically

FLOAT_FILE = "float.tflite"


@dataclass(frozen=True, kw_only=True)
class Train(Schedule):
    """Cross-entropy on the training split, from scratch; see `Schedule`."""

    name: ClassVar[str] = "train"
    takes: ClassVar[tuple[Kind, ...]] = ()
    makes: ClassVar[Kind] = "keras"
    revision: ClassVar[int] = 1

    def run(self, artifact: Artifact | None, context: Context) -> Artifact:
        """Leaves the model's configuration, its weights and its float ``.tflite``."""
        from edgecnn.build import converter, fitting, models
        from edgecnn.build.keras import keras

        keras.backend.clear_session()
        keras.utils.set_random_seed(context.recipe.seed)
        model = context.recipe.architecture.build(context.recipe.input, len(context.data.labels))
        history = fitting.fit(model, context, self)
        files = models.save_model(model, context.workspace)
        write_atomically(path := context.workspace / FLOAT_FILE, converter.float_file(model))
        return Artifact(kind=self.makes, files={**files, FLOAT_FILE: path}, metrics={"history": history})
