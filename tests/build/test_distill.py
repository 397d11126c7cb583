from typing import Any

import numpy as np
import pytest

from edgecnn.build import Distill, losses
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
