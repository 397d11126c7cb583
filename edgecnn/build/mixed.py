"""Half precision in training, where the hardware has it."""

from collections.abc import Sequence
from typing import Any

from edgecnn.build.keras import keras, tf
from edgecnn.build.recipe import Context
from edgecnn.build.schedule import Schedule


def available() -> bool:
    """Whether a GPU computes in float16; a processor does not, or more slowly than in float32."""
    return bool(tf.config.list_physical_devices("GPU"))


def of(model: Any, schedule: Schedule, context: Context) -> Any:
    """What is trained in a model's place: the model, or a copy that computes in half precision where that is wanted.

    Where there is no GPU it is said, and the model itself is trained, in float32.
    """
    if not schedule.mixed_precision:
        return model
    if not available():
        context.progress.say(
            f"{schedule.name}: mixed_precision needs a GPU, and TensorFlow sees none: trained in float32"
        )
        return model
    return halved(model)


def halved(model: Any) -> Any:
    """A copy that computes in float16, and keeps weights and logits in float32.

    Mixed precision is that of Micikevicius et al. 2018 (arXiv:1710.03740), by Keras's policy ``mixed_float16``.
    """

    def clone(layer: Any) -> Any:
        last = layer.name in model.output_names
        return type(layer).from_config({**layer.get_config(), "dtype": "float32" if last else "mixed_float16"})

    copy = keras.models.clone_model(model, clone_function=clone)
    copy.set_weights(model.get_weights())
    return copy


def scaled(optimizer: Any, model: Any) -> Any:
    """An optimizer for that copy: gradients are scaled, so that small ones are not lost in float16."""
    half = any(layer.compute_dtype == "float16" for layer in model.layers)
    return keras.mixed_precision.LossScaleOptimizer(optimizer) if half else optimizer


def plain(optimizer: Any) -> Any:
    """It without the scaling."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def state(optimizer: Any) -> Sequence[Any]:
    """All variables of an optimizer; those of the scaling, which Keras does not list, are at the end."""
    scaling = getattr(optimizer, "_loss_scale", None)
    return [*optimizer.variables, *([scaling.current_loss_scale, scaling.counter] if scaling else [])]
