"""What can be known before anything is trained: the network fits the data, and can be pruned, quantized, converted."""

from typing import Any

import numpy as np

from edgecnn.build.recipe import Context
from edgecnn.errors import ModelError


def preflight(context: Context) -> None:
    """Build the recipe's network untrained, and take it through what would fail after hours otherwise.

    Raises:
        ModelError: a layer that cannot be pruned or quantized, each named with what to write instead; an output that
            is not one score a class; or the converter refuses it.
        GateError: a budget is out of reach.
    """
    from edgecnn.build import converter, fake_quantization, quantizable
    from edgecnn.build.keras import keras

    context.progress.update(0, 0, "checking that the network can be compressed")
    keras.backend.clear_session()
    recipe = context.recipe
    model = recipe.architecture.build(recipe.input, len(context.data.labels))
    _check_shape(model, context)
    if any(stage.makes == "qat" for stage in recipe.stages):
        quantizable.check(model)
        aware = fake_quantization.of(model, recipe.input)
        fake_quantization.calibrate(aware, model, recipe.input, np.zeros((1, *recipe.input.shape), np.uint8))
        converter.qat_file(aware)
    else:
        converter.ptq_file(model, recipe.input, np.zeros((1, *recipe.input.shape), np.uint8))
    for stage in recipe.stages:
        if hasattr(stage, "check"):
            stage.check(model, context)


def _check_shape(model: Any, context: Context) -> None:
    spec, classes = context.recipe.input, len(context.data.labels)
    if (model.input_shape, model.output_shape) != ((None, *spec.shape), (None, classes)):
        raise ModelError(
            "The network does not fit the data.",
            received=f"{model.input_shape[1:]} to {model.output_shape[1:]}",
            accepted=f"{spec.shape} to ({classes},), one logit a class: {', '.join(context.data.labels[:12])}",
            remedy="a network of this input and output, or a folder of the classes that the network knows",
        )
