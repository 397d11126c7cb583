"""Keras models on disk: the configuration and the weights, never a saved model (reloading a QAT model is fragile)."""

from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.build.canonical import canonical
from edgecnn.build.flatten import flatten
from edgecnn.build.keras import keras
from edgecnn.build.recipe import Architecture, Context
from edgecnn.errors import ModelError
from edgecnn.files import replacing

CONFIG, WEIGHTS = "model.json", "weights.npz"
TEACHER = "teacher_"  # before the names of the files of a teacher


def build(architecture: Architecture, context: Context) -> Any:
    """A network that is not trained yet, in a fresh session: flat, and in the layers that all of the build knows."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(context.recipe.seed)
    model = architecture.build(context.recipe.input, len(context.data.labels))
    if any(isinstance(layer, keras.Model) for layer in model.layers):
        model = flatten(model)
    return canonical(model)


def check_shape(model: Any, context: Context) -> None:
    """Make sure that a network takes the recipe's input and gives one logit a class.

    Raises:
        ModelError: it does not.
    """
    spec, classes = context.recipe.input, len(context.data.labels)
    if (model.input_shape, model.output_shape) != ((None, *spec.shape), (None, classes)):
        raise ModelError(
            "The network does not fit the data.",
            received=f"{model.input_shape[1:]} to {model.output_shape[1:]}",
            accepted=f"{spec.shape} to ({classes},), one logit a class: {', '.join(context.data.labels[:12])}",
            remedy="a network of this input and output, or a folder of the classes that the network knows",
        )


def save_model(model: Any, folder: Path, prefix: str = "") -> dict[str, Path]:
    """Write configuration and weights into a folder; returns the artifact's files."""
    config, weights = f"{prefix}{CONFIG}", f"{prefix}{WEIGHTS}"
    with replacing(folder / config) as beside:
        beside.write_text(model.to_json(indent=1))
    return {config: folder / config, weights: save_weights(model, folder / weights)}


def save_weights(model: Any, path: Path) -> Path:
    """Write the weights of a model, in Keras's order."""
    with replacing(path) as beside, beside.open("wb") as file:
        np.savez(file, *model.get_weights())
    return path


def load_model(context: Context) -> Any:
    """The newest float model, with its weights, rebuilt in a fresh session so that every name repeats.

    Whatever was frozen while it was trained can be trained from here on, for what pruning takes from a layer only that
    layer can make up for. Batch norms stay as they are: one that is frozen belongs to statistics that are not learned.
    """
    config, weights = context.latest(CONFIG), context.latest(WEIGHTS)
    assert config, "the recipe's check puts a stage that makes a Keras model first"
    assert weights, "a configuration is never without its weights"
    keras.backend.clear_session()
    keras.utils.set_random_seed(context.recipe.seed)
    model = rebuilt(config, weights)
    for layer in model.layers:
        if not isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = True
    return model


def load_teacher(context: Context) -> Any:
    """The teacher of distillation: that of `Teach`, else the network of `Train`, which nothing has pruned yet.

    It is not trained any further. Call it after `load_model`, which begins a fresh session.
    """
    prefix = TEACHER if context.latest(f"{TEACHER}{CONFIG}") else ""
    files = next(made.files for made in context.history if f"{prefix}{CONFIG}" in made.files)
    teacher = rebuilt(files[f"{prefix}{CONFIG}"], files[f"{prefix}{WEIGHTS}"])
    teacher.trainable = False
    return teacher


def rebuilt(config: Path, weights: Path) -> Any:
    """A model from the two files of `save_model`."""
    model = keras.models.model_from_json(config.read_text())
    load_weights(model, weights)
    return model


def load_weights(model: Any, path: Path) -> None:
    """Set the weights of a model from `save_weights`."""
    with np.load(path) as arrays:
        model.set_weights([arrays[f"arr_{i}"] for i in range(len(arrays.files))])
