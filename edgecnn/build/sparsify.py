"""Unstructured pruning: small weights become zeros, while the network trains on."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from edgecnn.build.recipe import Artifact, Context, Kind
from edgecnn.build.schedule import Schedule
from edgecnn.files import replacing

ZEROS = "zeros.npz"


@dataclass(frozen=True, kw_only=True)
class Sparsify(Schedule):
    """Gradual magnitude pruning (Zhu and Gupta 2017, arXiv:1710.01878), or 2:4, by tfmot.

    Zeros make the *compressed* download smaller; neither the file nor the latency changes. Depthwise kernels, which
    are small and sensitive, are left alone.

    Attributes:
        sparsity: the fraction of zeros to reach in each convolution and dense kernel; they are final after three
            quarters of the steps.
        pattern: ``magnitude``, or ``2:4``: the two smaller of each four neighbours along the input channels are
            zeros (Mishra et al. 2021, arXiv:2104.08378), from the first step on. Its sparsity is 0.5.
    """

    sparsity: float
    pattern: Literal["magnitude", "2:4"] = "magnitude"
    learning_rate: float = 1e-3

    name: ClassVar[str] = "sparsify"
    takes: ClassVar[tuple[Kind | None, ...]] = ("keras",)
    makes: ClassVar[Kind] = "keras"
    revision: ClassVar[int] = 2

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        problems = super().problems()
        if self.mixed_precision:
            problems.append("Sparsify trains in float32; mixed_precision is for Teach, Train and PruneChannels")
        if not 0 < self.sparsity < 1:
            problems.append(f"Sparsify takes a sparsity between 0 and 1, not {self.sparsity}")
        if self.pattern not in ("magnitude", "2:4"):
            problems.append(f"Sparsify takes the pattern magnitude or 2:4, not {self.pattern!r}")
        elif self.pattern == "2:4" and self.sparsity != 0.5:
            problems.append(f"the pattern 2:4 has a sparsity of 0.5, not {self.sparsity}")
        return problems

    def run(self, artifact: Artifact | None, context: Context) -> Artifact:
        """Leaves the pruned model's configuration and weights, where its zeros are, and its PTQ file."""
        from edgecnn.build import converter, fitting, models
        from edgecnn.build.keras import keras, tfmot

        pruning = tfmot.sparsity.keras
        images = len(context.data["train"])
        epochs = self.epochs_for(images)
        settings = self._schedule(pruning, self.steps_per_epoch(images) * epochs)
        model = models.load_model(context)
        kernels = _kernels(model)

        def wrapped(layer: Any) -> Any:  # the others as they are: tfmot refuses some even where nothing is to be pruned
            return pruning.prune_low_magnitude(layer, **settings) if layer.name in kernels else layer

        pruned = keras.models.clone_model(model, clone_function=wrapped)
        final = -(-epochs * 3 // 4)  # from this epoch on all zeros are there
        history = fitting.fit(pruned, context, self, callbacks=[pruning.UpdatePruningStep()], settled=final)
        model = pruning.strip_pruning(pruned)
        kernels = _kernels(model)
        with replacing(zeros := context.workspace / ZEROS) as beside, beside.open("wb") as file:
            np.savez(file, **{name: kernel == 0 for name, kernel in kernels.items()})
        files = {**models.save_model(model, context.workspace), ZEROS: zeros, **converter.save_ptq(model, context)}
        metrics = {"history": history, "sparsity": sparsity_of(kernels.values())}
        return Artifact(kind=self.makes, files=files, metrics=metrics)

    def _schedule(self, pruning: Any, steps: int) -> dict[str, Any]:
        often = max(1, steps // 50)
        if self.pattern == "2:4":
            constant = pruning.ConstantSparsity(
                self.sparsity, begin_step=0, end_step=max(1, steps * 3 // 4), frequency=often
            )
            return {"pruning_schedule": constant, "sparsity_m_by_n": (2, 4)}
        gradual = pruning.PolynomialDecay(
            initial_sparsity=self.sparsity / 2,
            final_sparsity=self.sparsity,
            begin_step=0,
            end_step=max(1, steps * 3 // 4),
            frequency=often,
        )
        return {"pruning_schedule": gradual}


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
