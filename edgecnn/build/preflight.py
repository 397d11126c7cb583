"""What can be known before anything is trained: the network fits the data, and can be pruned, quantized, converted."""

import numpy as np

from edgecnn.build.flatbuffer import inspect
from edgecnn.build.promises import check_promises
from edgecnn.build.recipe import Context
from edgecnn.build.schedule import Schedule
from edgecnn.build.verify import Verify
from edgecnn.errors import UsageError


def preflight(context: Context) -> None:
    """Build the recipe's network untrained, and take it through what would fail after hours otherwise.

    Raises:
        ModelError: a layer that cannot be pruned or quantized, each named with what to write instead; an output that
            is not one score a class; or the converter refuses it, or leaves something in float.
        GateError: a budget is out of reach.
        UsageError: a stage would train on images without labels.
    """
    from edgecnn.build import converter, fake_quantization, models

    context.progress.update(0, 0, "checking that the network can be compressed")
    recipe = context.recipe
    _check_labelled(context)
    model = models.build(recipe.architecture, context)
    models.check_shape(model, context)
    noise = np.random.default_rng(0).integers(0, 256, (2, *recipe.input.shape), np.uint8)
    if any(stage.makes == "qat" for stage in recipe.stages):
        aware = fake_quantization.of(model, recipe.input)
        fake_quantization.calibrate(aware, model, recipe.input, noise)
        file = converter.qat_file(aware)
    else:
        file = converter.ptq_file(model, recipe.input, noise)
    if not any(stage.float_tensors for stage in recipe.stages if isinstance(stage, Verify)):
        check_promises(inspect(file), spec=recipe.input, zeros={}, float_tensors=())
    for stage in recipe.stages:
        if hasattr(stage, "check"):
            stage.check(model, context)


def _check_labelled(context: Context) -> None:
    training = [stage.name for stage in context.recipe.stages if isinstance(stage, Schedule)]
    if training and not context.data.labelled:
        raise UsageError(
            "Photographs without labels are nothing to train on.",
            received=f"a recipe that trains ({', '.join(training)})",
            accepted="with such photographs, a network that is trained already",
            remedy="sort the photographs into one folder a class, and name that folder in the recipe's data",
        )
