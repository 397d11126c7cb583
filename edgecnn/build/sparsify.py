"""Unstructured magnitude pruning: small weights become zeros, little by little, while the network trains on."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from edgecnn.build.recipe import Artifact, Context, Kind
from edgecnn.build.schedule import Schedule
from edgecnn.files import replacing

ZEROS = "zeros.npz"


@dataclass(frozen=True, kw_only=True)
class Sparsify(Schedule):
    """Gradual magnitude pruning (Zhu and Gupta 2017, arXiv:1710.01878), by tfmot.

    Zeros make the *compressed* download smaller; neither the file nor the latency changes. Depthwise kernels, which
    are small and sensitive, are left alone.

    Attributes:
        sparsity: the fraction of zeros to reach in each convolution and dense kernel; they are final after three
            quarters of the steps.
    """

    sparsity: float
    learning_rate: float = 1e-3

    name: ClassVar[str] = "sparsify"
    takes: ClassVar[tuple[Kind, ...]] = ("keras",)
    makes: ClassVar[Kind] = "keras"
    revision: ClassVar[int] = 1

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        problems = super().problems()
        if not 0 < self.sparsity < 1:
            problems.append(f"Sparsify takes a sparsity between 0 and 1, not {self.sparsity}")
        return problems

    def run(self, artifact: Artifact | None, context: Context) -> Artifact:
        """Leaves the pruned model's configuration and weights, and where its zeros are."""
        from edgecnn.build import fitting, models
        from edgecnn.build.keras import tfmot

        pruning = tfmot.sparsity.keras
        images = len(context.data["train"])
        steps = self.steps_per_epoch(images) * self.epochs_for(images)
        schedule = pruning.PolynomialDecay(
            initial_sparsity=self.sparsity / 2,
            final_sparsity=self.sparsity,
            begin_step=0,
            end_step=max(1, steps * 3 // 4),
            frequency=max(1, steps // 50),
        )
        pruned = pruning.prune_low_magnitude(models.load_model(context), pruning_schedule=schedule)
        history = fitting.fit(pruned, context, self, callbacks=[pruning.UpdatePruningStep()])
        model = pruning.strip_pruning(pruned)
        kernels = _kernels(model)
        with replacing(zeros := context.workspace / ZEROS) as beside, beside.open("wb") as file:
            np.savez(file, **{name: kernel == 0 for name, kernel in kernels.items()})
        files = {**models.save_model(model, context.workspace), ZEROS: zeros}
        metrics = {"history": history, "sparsity": sparsity_of(kernels.values())}
        return Artifact(kind=self.makes, files=files, metrics=metrics)


def sparsity_of(kernels: Iterable[Any]) -> float:
    """The share of zeros over all of these arrays."""
    arrays = list(kernels)
    return round(float(sum((array == 0).sum() for array in arrays) / sum(array.size for array in arrays)), 6)


def _kernels(model: Any) -> dict[str, Any]:
    """The kernels of convolution and dense layers (not depthwise ones) by layer name, as numpy arrays."""
    from edgecnn.build.keras import keras

    kinds = (keras.layers.Conv2D, keras.layers.Dense)
    return {
        layer.name: layer.kernel.numpy()
        for layer in model.layers
        if isinstance(layer, kinds) and not isinstance(layer, keras.layers.DepthwiseConv2D)
    }
