"""Distillation: a student learns the answers of a teacher, not the labels alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Distill:
    """What a student is asked for (Hinton et al. 2015, arXiv:1503.02531).

    The teacher is the network of the stage `Teach` where the recipe has one, else the one of `Train`. It sees the
    same augmented images as the student.

    Attributes:
        temperature: divides the logits of both, so that the teacher's small scores count, too.
        weight: of the teacher's answers in the loss; the labels have the rest.
    """

    temperature: float = 4.0
    weight: float = 0.9

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        problems = []
        if self.temperature <= 0:
            problems.append(f"Distill takes a positive temperature, not {self.temperature}")
        if not 0 < self.weight <= 1:
            problems.append(f"Distill takes a weight from over 0 to 1, not {self.weight}")
        return problems

    def loss(self, of_labels: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """The loss of each image, (batch,), of targets with a teacher's logits at their end, and the student's logits.

        Args:
            of_labels: the loss of what stands before them in the target.
        """
        from edgecnn.build.keras import tf

        def distilled(target: Any, logits: Any) -> Any:
            if target.shape[1] == 1:  # of validation images there are no answers
                return of_labels(target, logits)
            classes = logits.shape[1]
            answers = tf.nn.softmax(target[:, -classes:] / self.temperature)
            soft = tf.nn.softmax_cross_entropy_with_logits(answers, logits / self.temperature)
            # The gradients of softened answers shrink with the square of the temperature.
            hard = of_labels(target[:, :-classes], logits)
            return (1 - self.weight) * hard + self.weight * self.temperature**2 * soft

        return distilled
