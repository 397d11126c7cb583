"""Images as a network takes them: shuffled and augmented for training, or as they are and in order."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgecnn.build import losses
from edgecnn.build.data import Images
from edgecnn.build.keras import tf
from edgecnn.build.recipe import Augmentation, Context
from edgecnn.preprocess import InputSpec, Pixels
from edgecnn.progress import SILENT, Count, Progress

_OURS = InputSpec(height=1, width=1)


def batches(
    images: Images,
    context: Context,
    epoch: tuple[int, int],
    batch_size: int,
    *,
    teacher: Any | None = None,
    class_weights: Any | None = None,
) -> Any:
    """One epoch, shuffled and augmented; everything random is a function of (seed, stage, part, epoch, step).

    Args:
        images: the training split.
        context: gives the augmentations, the seed and the input.
        epoch: the part of the stage, and the epoch in it.
        batch_size: images a step.
        teacher: a model, which sees the same images.
        class_weights: (classes,) float32, what an image of each class counts.

    Returns:
        Batches of images (batch, height, width, channels) float32, targets as of `losses.target`, and where there are
        weights, the weight of each image.
    """
    seeds = (context.recipe.seed, len(context.history), *epoch)
    order = np.random.default_rng(seeds).permutation(len(images))
    if len(order) % batch_size % 2:  # TensorFlow 2.21 writes past an array's end: see `Schedule.batch_size`
        order = np.append(order, order[0])
    base = int(np.random.default_rng(seeds).integers(2**31))

    def load(step: Any, indices: Any) -> tuple[Any, ...]:
        pixels, labels = _gathered(images, indices)
        batch, shares = augmented(pixels, labels, context.recipe.augment, len(context.data.labels), (base, step))
        batch = _seen(batch, context.recipe.input)
        answers = teacher(batch, training=False) if teacher else None
        given = batch, losses.target(labels, shares, answers)
        return given if class_weights is None else (*given, _weights(labels, shares, class_weights))

    dataset = tf.data.Dataset.from_tensor_slices(order).batch(batch_size).enumerate()
    return dataset.map(load, num_parallel_calls=2, deterministic=True).prefetch(2)


def augmented(
    pixels: Any, labels: Any, augment: Sequence[Augmentation], classes: int, seed: tuple[int, Any]
) -> tuple[Any, Any | None]:
    """A batch after all augmentations.

    Args:
        pixels: (batch, height, width, channels) uint8.
        labels: (batch,) int64.
        augment: what happens to them, in order.
        classes: how many classes there are.
        seed: decides everything, with a step, int64.

    Returns:
        Images (batch, height, width, channels) float32 in [-1, 127/128]; and the share of each class in each of them,
        (batch, classes) float32, None where no augmentation mixes images.
    """
    base, step = seed
    batch, shares = _dequantize(pixels), None
    for place, augmentation in enumerate(augment):
        drawn = tf.stack([tf.constant(base, tf.int64), step * len(augment) + place])
        batch = augmentation.apply(batch, drawn)
        if getattr(augmentation, "mixes", False):  # what mixes images mixes their labels, by the same seed alike
            shares = augmentation.apply(tf.one_hot(labels, classes) if shares is None else shares, drawn)
    return tf.clip_by_value(batch, *_OURS.range()), shares


def pixels_of(batch: Any) -> Pixels:
    """Augmented images as pixels again, uint8, rounded."""
    return np.round(np.asarray(batch) / _OURS.scale + _OURS.zero_point).astype(np.uint8)


def in_order(images: Images, spec: InputSpec, batch_size: int) -> Any:
    """Batches as they are, with no augmentation: images (batch, height, width, channels) float32, labels (batch, 1)."""
    dataset = tf.data.Dataset.range(len(images)).batch(batch_size)

    def load(indices: Any) -> Any:
        pixels, labels = _gathered(images, indices)
        return _seen(_dequantize(pixels), spec), losses.target(labels)

    return dataset.map(load).prefetch(2)


def predict(model: Any, images: Images, spec: InputSpec, batch_size: int = 64, *, progress: Progress = SILENT) -> Any:
    """Logits of a Keras model for pixels, (n, classes) float32."""
    count = Count(progress, -(-len(images) // batch_size), "asking the Keras model")
    batches = count.over(in_order(images, spec, batch_size))
    return np.concatenate([model(batch, training=False).numpy() for batch, _ in batches])


def _gathered(images: Images, indices: Any) -> tuple[Any, Any]:
    # Not stateful: the same indices give the same images, so that batches may be made ahead.
    pixels, labels = tf.numpy_function(
        lambda i: (images.pixels[i], images.labels[i]), [indices], [tf.uint8, tf.int64], stateful=False
    )
    return tf.ensure_shape(pixels, [None, *images.pixels.shape[1:]]), tf.ensure_shape(labels, [None])


def _weights(labels: Any, shares: Any | None, class_weights: Any) -> Any:
    """What each image counts, (batch,) float32: a mixed one by its shares."""
    return tf.gather(class_weights, labels) if shares is None else tf.linalg.matvec(shares, class_weights)


def _dequantize(pixels: Any) -> Any:
    """Pixels as augmentations take them, [-1, 127/128]."""
    return (tf.cast(pixels, tf.float32) - float(_OURS.zero_point)) * _OURS.scale


def _seen(batch: Any, spec: InputSpec) -> Any:
    """From that to what the network takes."""
    if (spec.scale, spec.zero_point) == (_OURS.scale, _OURS.zero_point):
        return batch
    return (batch / _OURS.scale + float(_OURS.zero_point - spec.zero_point)) * spec.scale
