"""How long and how fast a stage trains; every stage that trains is one of these, with more settings of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from edgecnn.build.distill import Distill


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Adam with a learning rate that falls to 0 along a half cosine, after a short rise.

    Attributes:
        epochs: how often every training image is seen.
        min_steps: more epochs are trained where ``epochs`` have fewer steps than this: few photos need more rounds.
        batch_size: images a step, an even number. For an odd one the gradient of a 1x1 convolution of stride 2 over
            under 16 channels writes past the end of its memory (seen in TensorFlow 2.21 with oneDNN on AVX-512).
        learning_rate: at its highest.
        warm_up: the share of the steps in which the rate rises from 0 to that.
        weight_decay: decoupled from the gradient (AdamW; Loshchilov and Hutter 2019, arXiv:1711.05101); kernels alone.
        distill: learn from a teacher, too; None learns from the labels alone.
        label_smoothing: this share of each label is spread over all classes (Szegedy et al. 2016, arXiv:1512.00567).
        averaging: what is kept are moving averages of the weights with this momentum, such as 0.999 (Polyak and
            Juditsky 1992; as in Tarvainen and Valpola 2017, arXiv:1703.01780); 0 keeps the weights themselves.
        patience: training stops after so many epochs in a row that were no better on validation, and the weights of
            the best one are kept; 0 trains to the end, and keeps the last. The learning rate falls as it would without.
            Let it be longer than batch norms take to settle, some 300 steps: until then validation says little.
        class_weights: an image counts by the inverse of its class's number of training images, 1 in the mean.
        mixed_precision: compute in float16 where there is a GPU, and say so where there is none; what is kept is
            float32. Fake quantization and pruning are trained in float32 always.
    """

    epochs: int
    min_steps: int = 0
    batch_size: int = 64
    learning_rate: float = 3e-3
    warm_up: float = 0.0
    weight_decay: float = 0.0
    distill: Distill | None = None
    label_smoothing: float = 0.0
    averaging: float = 0.0
    patience: int = 0
    class_weights: bool = False
    mixed_precision: bool = False

    name: ClassVar[str]

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        stage, problems = type(self).__name__, []
        if self.epochs < 1:
            problems.append(f"{stage} takes at least 1 epoch, not {self.epochs}")
        if self.min_steps < 0:
            problems.append(f"{stage} takes min_steps of 0 and more, not {self.min_steps}")
        if self.batch_size < 2 or self.batch_size % 2:
            problems.append(f"{stage} takes an even batch_size, not {self.batch_size}")
        if not 0 < self.learning_rate < 1:
            problems.append(f"{stage} takes a learning_rate between 0 and 1, not {self.learning_rate}")
        if not (0 <= self.warm_up < 1 and 0 <= self.weight_decay < 1):
            problems.append(
                f"{stage} takes warm_up and weight_decay from 0 to under 1, not {self.warm_up} and {self.weight_decay}"
            )
        if not (0 <= self.label_smoothing < 1 and 0 <= self.averaging < 1):
            problems.append(
                f"{stage} takes label_smoothing and averaging from 0 to under 1, "
                f"not {self.label_smoothing} and {self.averaging}"
            )
        if self.patience < 0:
            problems.append(f"{stage} takes a patience of 0 and more epochs, not {self.patience}")
        return problems + (self.distill.problems() if self.distill else [])

    def steps_per_epoch(self, images: int) -> int:
        """Steps in which each of so many images is seen once; the last may have fewer."""
        return -(-images // self.batch_size)

    def epochs_for(self, images: int) -> int:
        """Epochs over so many images."""
        return max(self.epochs, -(-self.min_steps // self.steps_per_epoch(images)))

    def best(self, history: Sequence[Mapping[str, float]], settled: int = 0) -> int:
        """The epoch, counted from 0, whose weights are kept: the last, or with `patience` the best on validation.

        It follows from the history alone, so that a training that goes on decides as one that was never stopped.

        Args:
            history: the figures of each finished epoch, at least one.
            settled: the first epoch that may be the best.
        """
        if not self.patience or len(history) <= settled:
            return len(history) - 1
        return max(
            range(settled, len(history)), key=lambda e: (history[e]["val_accuracy"], -history[e]["val_loss"], -e)
        )

    def ended(self, history: Sequence[Mapping[str, float]], settled: int = 0) -> bool:
        """Whether patience is at its end after these epochs; see `best`."""
        return bool(self.patience and history) and len(history) - 1 - self.best(history, settled) >= self.patience
