"""AdamW with a pace of its own for each layer, and moving averages of all that a network has learned."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from edgecnn.build import fake_quantization
from edgecnn.build.keras import keras, tf
from edgecnn.build.schedule import Schedule

Rates = Callable[[str], float]


def optimizer(model: Any, schedule: Schedule, steps: int, rates: Rates | None = None) -> "Optimizer":
    """What trains a model for so many steps, its learning rate along the schedule's half cosine."""
    rising = round(steps * schedule.warm_up)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0 if rising else schedule.learning_rate,
        steps - rising,
        warmup_target=schedule.learning_rate if rising else None,
        warmup_steps=rising,
    )
    return Optimizer(model, rate, weight_decay=schedule.weight_decay, averaging=schedule.averaging, rates=rates)


class Optimizer(keras.optimizers.AdamW):  # type: ignore[misc]
    """AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101).

    Args:
        model: what it trains.
        rate: the learning rate, or its schedule.
        weight_decay: of kernels; not of biases and batch norms.
        averaging: momentum of the moving averages, 0 for none. They are variables of the optimizer, so that they are
            saved and restored with it.
        rates: the factor of each layer's learning rate, by the layer's name; None is 1 for all.
    """

    def __init__(self, model: Any, rate: Any, *, weight_decay: float, averaging: float, rates: Rates | None) -> None:
        super().__init__(rate, weight_decay=weight_decay, name="AdamW")
        self.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
        self._slowed = [
            (variable, factor)
            for layer in model.layers
            if rates and (factor := rates(layer.name)) != 1
            for variable in layer.trainable_variables
        ]
        self._momentum = averaging
        self._learned = _learned(model) if averaging else []
        self.build(model.trainable_variables)
        self._averages = [
            self.add_variable_from_reference(each, "average", initial_value=each) for each in self._learned
        ]

    def apply_gradients(self, grads_and_vars: Any, *rest: Any, **options: Any) -> Any:
        """See Keras; then slowed layers are put back by the rest of their way, and the averages follow.

        Adam divides a gradient by its size, so a factor on the gradient would do nothing: it is on the step.

        In the first steps the momentum is (1 + step) / (10 + step) where that is less, as in
        `tf.train.ExponentialMovingAverage`: an average that begins at random weights has to forget them.
        """
        before = [tf.identity(variable) for variable, _ in self._slowed]
        step = super().apply_gradients(grads_and_vars, *rest, **options)
        for (variable, factor), value in zip(self._slowed, before, strict=True):
            variable.assign(value + factor * (variable - value))
        if self._momentum:
            count = tf.cast(step, tf.float32)
            momentum = tf.minimum(self._momentum, (1 + count) / (10 + count))
            for value, average in zip(self._learned, self._averages, strict=True):
                average.assign_add((1 - momentum) * (value - average))  # exact where nothing changes: a pinned range
        return step

    @contextmanager
    def averaged(self, model: Any) -> Iterator[None]:
        """The model runs on its averages for as long as the block does; nothing changes where there are none."""
        if not self._momentum:
            yield
            return
        kept = [variable.numpy() for variable in model.variables]
        for variable, average in zip(self._learned, self._averages, strict=True):
            variable.assign(average)
        _settle(model)
        try:
            yield
        finally:
            for variable, value in zip(model.variables, kept, strict=True):
                variable.assign(value)


def _learned(model: Any) -> list[Any]:
    """What is averaged: weights, and with them the statistics of batch norms and the ranges of activations.

    Both of these are moving averages already, of networks of about as long ago as the averaged weights; estimating
    them anew (Izmailov et al. 2018, arXiv:1803.05407) pays where weights of far apart are averaged. What pruning has
    decided is not an average.
    """
    decided = {id(each) for layer in model.layers for _, *rest in getattr(layer, "pruning_vars", ()) for each in rest}
    return [each for each in model.variables if each.dtype.is_floating and id(each) not in decided]


def _settle(model: Any) -> None:
    """What follows from weights follows from the averages: zeros are zeros, and a kernel's range is its own."""
    for layer in model.layers:
        if pruning := getattr(layer, "pruning_obj", None):
            pruning.weight_mask_op()
    fake_quantization.set_kernel_ranges(model)
