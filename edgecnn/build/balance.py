"""Classes of which there are many more images than of others."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

IMBALANCE = 3.0  # from here on it is said


def class_weights(labels: NDArray[np.int64], classes: int) -> Any:
    """What an image of each class counts: by the inverse of their number, 1 in the mean over the images.

    Args:
        labels: (n,), of the training split; there is one of each class at least.
        classes: how many classes there are.

    Returns:
        (classes,) float32.
    """
    return (len(labels) / (classes * np.bincount(labels, minlength=classes))).astype(np.float32)


def imbalance(labels: NDArray[np.int64], names: Sequence[str]) -> str | None:
    """What is said of a training split with over `IMBALANCE` times as many images of one class as of another."""
    counts = np.bincount(labels, minlength=len(names))
    most, least = int(counts.argmax()), int(counts.argmin())
    if counts[most] <= IMBALANCE * counts[least]:
        return None
    return (
        f"of the class {names[most]} there are {counts[most]} training images, of {names[least]} {counts[least]}: "
        "the network will favour the first; more images of the second help most, and "
        "class_weights=True in the recipe's training stages lets all classes count alike"
    )
