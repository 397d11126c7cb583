"""Training that resumes: one epoch at a time, each a function of the seed and of what the last one left.

After each epoch the weights, the optimizer's variables and the epoch are written beside and renamed. A build that
was killed goes on after the last finished epoch, and ends in the same bytes as one that was not.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.build.data import Images
from edgecnn.build.keras import keras, tf
from edgecnn.build.recipe import Context
from edgecnn.build.schedule import Schedule
from edgecnn.files import replacing
from edgecnn.preprocess import InputSpec

CHECKPOINT = "checkpoint.npz"
_SHOWN = {"accuracy": "train", "val_accuracy": "validation"}


def fit(model: Any, context: Context, schedule: Schedule, *, callbacks: Sequence[Any] = ()) -> list[dict[str, float]]:
    """Train a model on the training split with Adam, and a learning rate that falls along a half cosine.

    The schedule is that of Loshchilov and Hutter 2017 (arXiv:1608.03983), without restarts.

    Args:
        model: (batch, height, width, channels) float32 to logits; trained in place.
        context: gives the data, the augmentations, the seed and the workspace for checkpoints.
        schedule: the stage that trains: epochs, batch size, learning rate, and its name for the lines of progress.
        callbacks: Keras callbacks, called in each epoch.

    Returns:
        One dict of figures an epoch: loss, accuracy, val_loss, val_accuracy.
    """
    train, validation = context.data["train"], context.data["validation"]
    steps, epochs = schedule.steps_per_epoch(len(train)), schedule.epochs_for(len(train))
    rate = keras.optimizers.schedules.CosineDecay(schedule.learning_rate, epochs * steps)
    model.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.optimizer.build(model.trainable_variables)
    checkpoint = context.workspace / CHECKPOINT
    history = _restore(model, checkpoint)
    for epoch in range(len(history), epochs):
        figures = model.fit(
            _batches(train, context, epoch, schedule.batch_size),
            initial_epoch=epoch,
            epochs=epoch + 1,
            steps_per_epoch=steps,
            validation_data=_in_order(validation, schedule.batch_size),
            verbose=0,
            callbacks=[*callbacks, _Report(context, epochs, steps, history)],
        ).history
        history.append({name: round(float(values[0]), 6) for name, values in figures.items()})
        _save(model, checkpoint, history)
        context.progress.say(f"{schedule.name}: {_Report.line(epoch, epochs, history)}")
    return history


def predict(model: Any, images: Images, batch_size: int = 64) -> Any:
    """Logits of a Keras model for pixels, (n, classes) float32."""
    return np.concatenate([model(batch, training=False).numpy() for batch, _ in _in_order(images, batch_size)])


def _batches(images: Images, context: Context, epoch: int, batch_size: int) -> Any:
    """One epoch, shuffled and augmented; everything random is a function of (seed, stage, epoch, step)."""
    seeds = (context.recipe.seed, len(context.history), epoch)
    order = np.random.default_rng(seeds).permutation(len(images))
    base = int(np.random.default_rng(seeds).integers(2**31))
    augment = context.recipe.augment

    def gather(indices: Any) -> Any:
        return images.pixels[indices], images.labels[indices]

    def load(step: Any, indices: Any) -> Any:
        pixels, labels = tf.numpy_function(gather, [indices], [tf.uint8, tf.int64])
        batch = _dequantize(tf.ensure_shape(pixels, [None, *context.recipe.input.shape]))
        for place, augmentation in enumerate(augment):
            batch = augmentation.apply(batch, tf.stack([tf.constant(base, tf.int64), step * len(augment) + place]))
        return tf.clip_by_value(batch, *InputSpec.range()), tf.ensure_shape(labels, [None])

    dataset = tf.data.Dataset.from_tensor_slices(order).batch(batch_size).enumerate()
    return dataset.map(load, num_parallel_calls=2, deterministic=True).prefetch(2)


def _in_order(images: Images, batch_size: int) -> Any:
    dataset = tf.data.Dataset.range(len(images)).batch(batch_size)

    def load(indices: Any) -> Any:
        pixels, labels = tf.numpy_function(
            lambda i: (images.pixels[i], images.labels[i]), [indices], [tf.uint8, tf.int64]
        )
        return _dequantize(tf.ensure_shape(pixels, [None, *images.pixels.shape[1:]])), tf.ensure_shape(labels, [None])

    return dataset.map(load).prefetch(2)


def _dequantize(pixels: Any) -> Any:
    """`InputSpec.dequantize` in the graph."""
    return (tf.cast(pixels, tf.float32) - float(InputSpec.zero_point)) * InputSpec.scale


def _save(model: Any, path: Path, history: list[dict[str, float]]) -> None:
    variables = [variable.numpy() for variable in model.optimizer.variables]
    arrays = {f"weight{i}": value for i, value in enumerate(model.get_weights())}
    arrays |= {f"optimizer{i}": value for i, value in enumerate(variables)}
    with replacing(path) as beside, beside.open("wb") as file:
        np.savez(file, history=np.array(json.dumps(history)), **arrays)


def _restore(model: Any, path: Path) -> list[dict[str, float]]:
    if not path.exists():
        return []
    with np.load(path) as arrays:
        model.set_weights([arrays[f"weight{i}"] for i in range(len(model.get_weights()))])
        for i, variable in enumerate(model.optimizer.variables):
            variable.assign(arrays[f"optimizer{i}"])
        history: list[dict[str, float]] = json.loads(str(arrays["history"]))
        return history


class _Report(keras.callbacks.Callback):  # type: ignore[misc]
    """Says how far the training is."""

    def __init__(self, context: Context, epochs: int, steps: int, history: list[dict[str, float]]) -> None:
        super().__init__()
        self._context, self._epochs, self._steps, self._history = context, epochs, steps, history

    @staticmethod
    def line(epoch: int, epochs: int, history: list[dict[str, float]]) -> str:
        """An epoch, counted from 0, and the figures of the last finished one."""
        figures = "".join(f", {history[-1][key]:.3f} on {name}" for key, name in _SHOWN.items()) if history else ""
        return f"epoch {epoch + 1}/{epochs}{figures}"

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        """After each step."""
        epoch = len(self._history)
        note = self.line(epoch, self._epochs, self._history)
        self._context.progress.update(epoch * self._steps + batch + 1, self._epochs * self._steps, note)
