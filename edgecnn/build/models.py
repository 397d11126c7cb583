"""Keras models on disk: the configuration and the weights, never a saved model (reloading a QAT model is fragile)."""

from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.build.keras import keras
from edgecnn.build.recipe import Context
from edgecnn.files import replacing

CONFIG, WEIGHTS = "model.json", "weights.npz"


def save_model(model: Any, folder: Path) -> dict[str, Path]:
    """Write configuration and weights into a folder; returns the artifact's files."""
    with replacing(folder / CONFIG) as beside:
        beside.write_text(model.to_json(indent=1))
    return {CONFIG: folder / CONFIG, WEIGHTS: save_weights(model, folder / WEIGHTS)}


def save_weights(model: Any, path: Path) -> Path:
    """Write the weights of a model, in Keras's order."""
    with replacing(path) as beside, beside.open("wb") as file:
        np.savez(file, *model.get_weights())
    return path


def load_model(context: Context) -> Any:
    """The newest float model, with its weights, rebuilt in a fresh session so that every name repeats."""
    config, weights = context.latest(CONFIG), context.latest(WEIGHTS)
    assert config, "the recipe's check puts a stage that makes a Keras model first"
    assert weights, "a configuration is never without its weights"
    keras.backend.clear_session()
    model = keras.models.model_from_json(config.read_text())
    load_weights(model, weights)
    return model


def load_weights(model: Any, path: Path) -> None:
    """Set the weights of a model from `save_weights`."""
    with np.load(path) as arrays:
        model.set_weights([arrays[f"arr_{i}"] for i in range(len(arrays.files))])
