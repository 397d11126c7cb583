"""Training that resumes: one epoch at a time, each a function of the seed and of what the last one left.

After each epoch the weights, the optimizer's variables and the epoch are written beside and renamed. A build that
was killed goes on after the last finished epoch, and ends in the same bytes as one that was not.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.build import models
from edgecnn.build.data import Images
from edgecnn.build.keras import keras, tf
from edgecnn.build.recipe import Context
from edgecnn.build.schedule import Schedule
from edgecnn.files import replacing
from edgecnn.preprocess import InputSpec

_OURS = InputSpec(height=1, width=1)
CHECKPOINT = "checkpoint{}.npz"
_SHOWN = {"accuracy": "train", "val_accuracy": "validation"}


def fit(
    model: Any,
    context: Context,
    schedule: Schedule,
    *,
    callbacks: Sequence[Any] = (),
    part: int = 0,
    frozen: float = 0.0,
) -> list[dict[str, float]]:
    """Train a model on the training split with Adam, and a learning rate that falls along a half cosine.

    The schedule is that of Loshchilov and Hutter 2017 (arXiv:1608.03983), without restarts.

    Args:
        model: (batch, height, width, channels) float32 to logits; trained in place.
        context: gives the data, the augmentations, the seed and the workspace for checkpoints.
        schedule: the stage that trains: epochs, batch size, learning rate, and its name for the lines of progress.
        callbacks: Keras callbacks, called in each epoch.
        part: a number of its own for each training of a stage that has several.
        frozen: in this share of the epochs, at the end, batch norms run as they will in the file.

    Returns:
        One dict of figures an epoch: loss, accuracy, val_loss, val_accuracy.
    """
    train, validation = context.data["train"], context.data["validation"]
    steps, epochs = schedule.steps_per_epoch(len(train)), schedule.epochs_for(len(train))
    teacher = models.load_teacher(context) if schedule.distill else None
    _compile(model, schedule, _optimizer(schedule, steps * epochs))
    model.optimizer.build(model.trainable_variables)
    checkpoint = context.workspace / CHECKPOINT.format(part)
    history = _restore(model, checkpoint)
    first_frozen = max(epochs - round(frozen * epochs), len(history))
    for epoch in range(len(history), epochs):
        if epoch == first_frozen:
            _freeze(model)
            _compile(model, schedule, model.optimizer)  # `fit` takes what was trainable when it was compiled
        figures = model.fit(
            _batches(train, context, (part, epoch), schedule.batch_size, teacher),
            initial_epoch=epoch,
            epochs=epoch + 1,
            steps_per_epoch=steps,
            validation_data=in_order(validation, context.recipe.input, schedule.batch_size),
            verbose=0,
            callbacks=[*callbacks, _Report(context, epochs, steps, history)],
        ).history
        history.append({name: round(float(values[0]), 6) for name, values in figures.items()})
        _save(model, checkpoint, history)
        context.progress.say(f"{schedule.name}: {_Report.line(epoch, epochs, history)}")
    return history


def _freeze(model: Any) -> None:
    """Let every batch norm use its moving statistics, and leave them alone."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def _compile(model: Any, schedule: Schedule, optimizer: Any) -> None:
    loss = schedule.distill.loss() if schedule.distill else keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss, metrics=[_accuracy()])


def _optimizer(schedule: Schedule, steps: int) -> Any:
    rising = round(steps * schedule.warm_up)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0 if rising else schedule.learning_rate,
        steps - rising,
        warmup_target=schedule.learning_rate if rising else None,
        warmup_steps=rising,
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=schedule.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return optimizer


def _accuracy() -> Any:
    """Of the label, which stands first in the target; a teacher's answers may stand behind it."""

    def of_label(target: Any, logits: Any) -> Any:
        return keras.metrics.sparse_categorical_accuracy(target[:, :1], logits)

    return keras.metrics.MeanMetricWrapper(of_label, name="accuracy")


def predict(model: Any, images: Images, spec: InputSpec, batch_size: int = 64) -> Any:
    """Logits of a Keras model for pixels, (n, classes) float32."""
    return np.concatenate([model(batch, training=False).numpy() for batch, _ in in_order(images, spec, batch_size)])


def _batches(images: Images, context: Context, epoch: tuple[int, int], batch_size: int, teacher: Any | None) -> Any:
    """One epoch, shuffled and augmented; everything random is a function of (seed, stage, part, epoch, step).

    The target is the label, (batch, 1) float32, and behind it the teacher's logits where there is one.
    """
    seeds = (context.recipe.seed, len(context.history), *epoch)
    order = np.random.default_rng(seeds).permutation(len(images))
    if len(order) % batch_size % 2:  # TensorFlow 2.21 writes past an array's end: see `Schedule.batch_size`
        order = np.append(order, order[0])
    base = int(np.random.default_rng(seeds).integers(2**31))
    augment = context.recipe.augment

    def gather(indices: Any) -> Any:
        return images.pixels[indices], images.labels[indices]

    def load(step: Any, indices: Any) -> Any:
        pixels, labels = tf.numpy_function(gather, [indices], [tf.uint8, tf.int64], stateful=False)
        batch = _dequantize(tf.ensure_shape(pixels, [None, *context.recipe.input.shape]))
        for place, augmentation in enumerate(augment):
            batch = augmentation.apply(batch, tf.stack([tf.constant(base, tf.int64), step * len(augment) + place]))
        batch = _seen(tf.clip_by_value(batch, *_OURS.range()), context.recipe.input)
        target = _target(labels)
        return batch, tf.concat([target, teacher(batch, training=False)], 1) if teacher else target

    dataset = tf.data.Dataset.from_tensor_slices(order).batch(batch_size).enumerate()
    return dataset.map(load, num_parallel_calls=2, deterministic=True).prefetch(2)


def in_order(images: Images, spec: InputSpec, batch_size: int) -> Any:
    """Batches as they are, with no augmentation: images (batch, height, width, channels) float32, labels (batch, 1)."""
    dataset = tf.data.Dataset.range(len(images)).batch(batch_size)

    def load(indices: Any) -> Any:
        pixels, labels = tf.numpy_function(
            lambda i: (images.pixels[i], images.labels[i]), [indices], [tf.uint8, tf.int64]
        )
        batch = _dequantize(tf.ensure_shape(pixels, [None, *images.pixels.shape[1:]]))
        return _seen(batch, spec), _target(labels)

    return dataset.map(load).prefetch(2)


def _target(labels: Any) -> Any:
    return tf.cast(tf.ensure_shape(labels, [None])[:, tf.newaxis], tf.float32)


def _dequantize(pixels: Any) -> Any:
    """Pixels as augmentations take them, [-1, 127/128]."""
    return (tf.cast(pixels, tf.float32) - float(_OURS.zero_point)) * _OURS.scale


def _seen(batch: Any, spec: InputSpec) -> Any:
    """From that to what the network takes."""
    if (spec.scale, spec.zero_point) == (_OURS.scale, _OURS.zero_point):
        return batch
    return (batch / _OURS.scale + float(_OURS.zero_point - spec.zero_point)) * spec.scale


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
