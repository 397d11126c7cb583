"""Quantization-aware training that keeps the zeros of pruning."""

from dataclasses import dataclass
from typing import ClassVar

from edgecnn.build.recipe import Artifact, Context, Kind
from edgecnn.build.schedule import Schedule

QAT_WEIGHTS = "qat_weights.npz"


@dataclass(frozen=True, kw_only=True)
class Quantize(Schedule):
    """QAT (Jacob et al. 2018, arXiv:1712.05877) by tfmot, sparsity-preserving; see `Schedule`.

    Ranges begin where calibration finds them. In the last epochs the statistics of the batch norms are frozen
    (Krishnamoorthi 2018, arXiv:1806.08342), so that the network is trained as it will be run.

    Attributes:
        frozen: the share of the epochs, at the end, in which they are.
    """

    learning_rate: float = 3e-4
    frozen: float = 0.25

    name: ClassVar[str] = "quantize"
    takes: ClassVar[tuple[Kind | None, ...]] = ("keras",)
    makes: ClassVar[Kind] = "qat"
    revision: ClassVar[int] = 3

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        problems = super().problems()
        if self.mixed_precision:
            problems.append("Quantize trains in float32; mixed_precision is for Teach, Train and PruneChannels")
        return (
            problems if 0 <= self.frozen <= 1 else [*problems, f"Quantize takes frozen from 0 to 1, not {self.frozen}"]
        )

    def run(self, artifact: Artifact | None, context: Context) -> Artifact:
        """Leaves the weights of the quantization-aware model."""
        from edgecnn.build import fake_quantization, fitting, models

        model = models.load_model(context)
        aware = fake_quantization.of(model, context.recipe.input)
        fake_quantization.calibrate(aware, model, context.recipe.input, context.data["calibration"].pixels)
        history = fitting.fit(aware, context, self, frozen=self.frozen)
        weights = models.save_weights(aware, context.workspace / QAT_WEIGHTS)
        return Artifact(kind=self.makes, files={QAT_WEIGHTS: weights}, metrics={"history": history})
