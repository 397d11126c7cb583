"""What a network is asked for: the targets of a batch, the loss over them, and the accuracy."""

from collections.abc import Callable
from typing import Any

from edgecnn.build.keras import keras, tf
from edgecnn.build.schedule import Schedule

Loss = Callable[[Any, Any], Any]


def target(labels: Any, shares: Any | None = None, answers: Any | None = None) -> Any:
    """The target of a batch: the label first, and behind it what else there is, (batch, 1 to 1 + 2 * classes) float32.

    Args:
        labels: (batch,) int64.
        shares: (batch, classes) float32, how much of each class is in an image that was mixed; the label is then the
            class of the largest share.
        answers: (batch, classes) float32, a teacher's logits.
    """
    if shares is not None:
        labels = tf.argmax(shares, axis=1)
    first = tf.cast(tf.ensure_shape(labels, [None])[:, tf.newaxis], tf.float32)
    return tf.concat([first, *(each for each in (shares, answers) if each is not None)], 1)


def loss(schedule: Schedule) -> Loss:
    """From targets and logits to the loss of each image, (batch,)."""
    labels = cross_entropy(schedule.label_smoothing)
    return schedule.distill.loss(labels) if schedule.distill else labels


def cross_entropy(label_smoothing: float = 0.0) -> Loss:
    """Of the labels, or of the shares of the classes where images are mixed.

    Smoothed labels leave a share to all classes alike (Szegedy et al. 2016, arXiv:1512.00567). Of validation images
    there is the label alone; it is smoothed, too, so that the two losses compare.
    """

    def of_labels(target: Any, logits: Any) -> Any:
        if target.shape[1] == 1 and not label_smoothing:
            return keras.losses.sparse_categorical_crossentropy(target, logits, from_logits=True)
        wanted = target[:, 1:] if target.shape[1] > 1 else tf.one_hot(tf.cast(target[:, 0], tf.int64), logits.shape[1])
        return keras.losses.categorical_crossentropy(wanted, logits, from_logits=True, label_smoothing=label_smoothing)

    return of_labels


def accuracy() -> Any:
    """Of the label, which stands first in the target."""

    def of_label(target: Any, logits: Any) -> Any:
        return keras.metrics.sparse_categorical_accuracy(target[:, :1], logits)

    return keras.metrics.MeanMetricWrapper(of_label, name="accuracy")
