"""Quantization-aware training that keeps the zeros of pruning, and the post-training baseline beside it."""

from dataclasses import dataclass
from typing import Any, ClassVar

from edgecnn.build.recipe import Artifact, Context, Kind
from edgecnn.build.schedule import Schedule
from edgecnn.errors import ModelError
from edgecnn.files import write_atomically
from edgecnn.preprocess import InputSpec

PTQ_FILE, QAT_WEIGHTS = "ptq.tflite", "qat_weights.npz"


@dataclass(frozen=True, kw_only=True)
class Quantize(Schedule):
    """QAT (Jacob et al. 2018, arXiv:1712.05877) by tfmot, sparsity-preserving; see `Schedule`."""

    learning_rate: float = 3e-4

    name: ClassVar[str] = "quantize"
    takes: ClassVar[tuple[Kind, ...]] = ("keras",)
    makes: ClassVar[Kind] = "qat"
    revision: ClassVar[int] = 1

    def run(self, artifact: Artifact | None, context: Context) -> Artifact:
        """Leaves the weights of the quantization-aware model, and the PTQ baseline as a ``.tflite``."""
        from edgecnn.build import converter, fitting, models

        baseline = context.workspace / PTQ_FILE
        write_atomically(baseline, converter.ptq_file(models.load_model(context), context.data["calibration"].pixels))
        model = quantization_aware(models.load_model(context))
        history = fitting.fit(model, context, self)
        weights = models.save_weights(model, context.workspace / QAT_WEIGHTS)
        files = {PTQ_FILE: baseline, QAT_WEIGHTS: weights}
        return Artifact(kind=self.makes, files=files, metrics={"history": history})


def quantization_aware(model: Any) -> Any:
    """A copy of a float model with fake quantization, its zeros kept and its input range pinned.

    Raises:
        ModelError: a layer that tfmot cannot quantize.
    """
    from edgecnn.build.keras import tfmot

    scheme = tfmot.experimental.combine.Default8BitPrunePreserveQuantizeScheme()
    quantization = tfmot.quantization.keras
    try:
        aware = quantization.quantize_apply(quantization.quantize_annotate_model(model), scheme)
    except (ValueError, RuntimeError) as error:
        raise ModelError(
            "This network cannot be trained quantization-aware.",
            received=str(error).strip().splitlines()[0],
            accepted="a flat functional model of layers that tfmot knows",
            remedy="replace the layer, or leave out Quantize: Convert then quantizes after training",
        ) from error
    _pin_input(aware)
    return aware


def _pin_input(model: Any) -> None:
    """Fix the input's range to [-1, 127/128]; its quantizer only ever widens, and images never leave that range."""
    variables = next(layer for layer in model.layers if hasattr(layer, "quantizer_vars")).quantizer_vars
    low, high = InputSpec.range()
    variables["min_var"].assign(low)
    variables["max_var"].assign(high)
