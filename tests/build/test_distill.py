from typing import Any

import numpy as np
import pytest

from edgecnn.build import Crop, Distill, losses
from edgecnn.build.keras import tf

LOGITS = np.array([[2.0, -1.0, 0.5], [0.1, 0.2, 0.3]], np.float32)
TEACHER = np.array([[1.0, 1.5, -2.0], [3.0, 0.0, 0.0]], np.float32)
LABELS = np.array([[0.0], [2.0]], np.float32)


def softmax(x: Any) -> Any:
    return np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)


def test_the_loss_is_that_of_the_paper() -> None:
    """Hinton et al. 2015, section 2: cross-entropy at a temperature, times its square, and that of the labels."""
    loss = Distill(temperature=3.0, weight=0.7).loss(losses.cross_entropy())(
        np.concatenate([LABELS, TEACHER], axis=1), LOGITS
    )
    soft = -(softmax(TEACHER / 3) * np.log(softmax(LOGITS / 3))).sum(axis=1)
    hard = -np.log(softmax(LOGITS)[[0, 1], [0, 2]])
    np.testing.assert_allclose(loss, 0.3 * hard + 0.7 * 9 * soft, rtol=1e-5)


def test_without_answers_of_a_teacher_it_is_that_of_the_labels() -> None:
    loss = Distill().loss(losses.cross_entropy())(tf.constant(LABELS), tf.constant(LOGITS))
    np.testing.assert_allclose(loss, -np.log(softmax(LOGITS)[[0, 1], [0, 2]]), rtol=1e-5)


def test_a_student_that_answers_as_its_teacher_has_nothing_to_learn() -> None:
    target = tf.constant(np.concatenate([LABELS, TEACHER], axis=1))
    with tf.GradientTape() as tape:
        tape.watch(answers := tf.constant(TEACHER))
        loss = Distill(weight=1.0).loss(losses.cross_entropy())(target, answers)
    assert np.abs(tape.gradient(loss, answers)).max() < 1e-6


@pytest.mark.parametrize("settings", [{"temperature": 0.0}, {"weight": 0.0}, {"weight": 1.5}])
def test_mistakes_are_said(settings: dict[str, float]) -> None:
    assert len(Distill(**settings).problems()) == 1


def test_a_crop_is_a_shift_of_whole_pixels_by_at_most_the_border() -> None:
    rows = np.arange(12.0)[:, np.newaxis]
    images = np.tile((rows * 12 + np.arange(12.0))[np.newaxis, :, :, np.newaxis], (64, 1, 1, 3)).astype(np.float32)
    cropped = Crop(border=2).apply(tf.constant(images), tf.constant([1, 2], tf.int64)).numpy()
    assert cropped.shape == images.shape
    inner = cropped[:, 4:8, 4:8] - images[:, 4:8, 4:8]
    assert all(np.ptp(each) == 0 for each in inner)  # no pixel is mixed with its neighbour
    shifts = {int(each.flat[0]) for each in inner}
    assert shifts <= {12 * dy + dx for dy in range(-2, 3) for dx in range(-2, 3)}
    assert len(shifts) > 10


def test_a_crop_of_nothing_is_a_mistake() -> None:
    assert Crop(border=0).problems()
