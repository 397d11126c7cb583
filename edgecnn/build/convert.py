"""Keras to an int8 ``.tflite``."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgecnn.build.quantize import QAT_WEIGHTS, quantization_aware
from edgecnn.build.recipe import Artifact, Context, Kind
from edgecnn.files import replacing, write_atomically

INT8_FILE, KERAS_LOGITS = "int8.tflite", "keras_logits.npy"


@dataclass(frozen=True, kw_only=True)
class Convert:
    """Converts what came before: a quantization-aware model as it is, a float model by post-training quantization."""

    name: ClassVar[str] = "convert"
    takes: ClassVar[tuple[Kind, ...]] = ("keras", "qat")
    makes: ClassVar[Kind] = "tflite"
    revision: ClassVar[int] = 1

    def problems(self) -> list[str]:
        """Nothing can be wrong."""
        return []

    def run(self, artifact: Artifact | None, context: Context) -> Artifact:
        """Leaves the bare flatbuffer, and the logits of the Keras model that was converted on the test split."""
        from edgecnn.build import converter, fitting, models

        context.progress.update(0, 0, "converting")
        model = models.load_model(context)
        weights = context.latest(QAT_WEIGHTS)
        if weights:
            model = quantization_aware(model)
            models.load_weights(model, weights)
            data = converter.qat_file(model)
        else:
            data = converter.ptq_file(model, context.data["calibration"].pixels)
        files = {INT8_FILE: context.workspace / INT8_FILE, KERAS_LOGITS: context.workspace / KERAS_LOGITS}
        write_atomically(files[INT8_FILE], data)
        with replacing(files[KERAS_LOGITS]) as beside, beside.open("wb") as file:
            np.save(file, fitting.predict(model, context.data["test"]))
        return Artifact(kind=self.makes, files=files, metrics={"method": "qat" if weights else "ptq"})
