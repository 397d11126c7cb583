"""What quantizing each layer costs by itself, all others in float."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecnn.build import fake_quantization
from edgecnn.build.keras import keras, tf
from edgecnn.preprocess import InputSpec, Pixels
from edgecnn.progress import Progress

_FOLLOWERS = ("BatchNormalization", "ReLU", "Activation", "HardSwish")


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """What one layer costs in int8.

    Attributes:
        layer: the convolution, the dense layer or the join of branches.
        members: it, and the batch norm and activation behind it, which become one operator with it.
        kl: mean Kullback-Leibler divergence of the scores from those of the float network, in nats.
        agreement: the share of images whose best class stays.
    """

    layer: str
    members: tuple[str, ...]
    kl: float
    agreement: float


def sensitivity(model: Any, spec: InputSpec, calibration: Pixels, progress: Progress) -> tuple[Sensitivity, ...]:
    """Measure every layer, the costliest first.

    A layer's kernel is rounded as the file will hold it, 8 bits and a scale for each output channel, and what its
    operator puts out is rounded to 8 bits over the range that these images give.

    Args:
        model: flat float model to logits; not changed.
        spec: its input.
        calibration: (n, height, width, channels) uint8.
        progress: told of each layer.
    """
    images = spec.dequantize(calibration)
    ranges = fake_quantization.observe(model, spec, calibration)
    units = list(_units(model))
    probe, switches = _probe(model, {unit[-1] for unit in units}, ranges)
    run = tf.function(lambda batch: tf.nn.log_softmax(probe(batch, training=False)))
    truth = run(images).numpy()
    found = []
    for done, unit in enumerate(units, start=1):
        kept = (layer := probe.get_layer(unit[0])).inner.get_weights()
        layer.inner.set_weights(_rounded(layer.inner, kept))
        switches[unit[-1]].assign(True)
        answers = run(images).numpy()
        switches[unit[-1]].assign(False)
        layer.inner.set_weights(kept)
        kl = float((np.exp(truth) * (truth - answers)).sum(axis=1).mean())
        agreement = float((truth.argmax(axis=1) == answers.argmax(axis=1)).mean())
        found.append(Sensitivity(layer=unit[0], members=unit, kl=round(max(kl, 0.0), 6), agreement=round(agreement, 4)))
        progress.update(done, len(units), "what each layer costs in int8")
    return tuple(sorted(found, key=lambda each: -each.kl))


def _units(model: Any) -> Iterable[tuple[str, ...]]:
    """Each layer that becomes an operator with arithmetic, and those behind it that become part of it."""
    for layer in model.layers:
        computes = layer.weights and not isinstance(layer, keras.layers.BatchNormalization | keras.layers.PReLU)
        if computes or isinstance(layer.input, list):
            members = [layer]
            while len(nodes := members[-1]._outbound_nodes) == 1 and _follows(nodes[0].outbound_layer):
                members.append(nodes[0].outbound_layer)
            yield tuple(member.name for member in members)


def _follows(layer: Any) -> bool:
    return type(layer).__name__ in _FOLLOWERS


class _Switched(keras.layers.Layer):  # type: ignore[misc]
    """A layer whose output is rounded to 8 bits while its switch is on."""

    def __init__(self, inner: Any, span: tuple[float, float]) -> None:
        super().__init__(name=inner.name)
        self.inner, self._span = inner, (min(span[0], 0.0), max(span[1], 1e-6))
        self.switch = tf.Variable(False, trainable=False)

    def call(self, inputs: Any) -> Any:
        """See Keras."""
        value = self.inner(inputs)
        return tf.cond(
            self.switch, lambda: tf.quantization.fake_quant_with_min_max_args(value, *self._span), lambda: value
        )


def _probe(model: Any, ends: set[str], ranges: dict[str, tuple[float, float]]) -> tuple[Any, dict[str, Any]]:
    """A copy of the model in which every layer has a switch."""

    def switched(layer: Any) -> Any:
        return _Switched(type(layer).from_config(layer.get_config()), ranges[layer.name])

    probe = keras.models.clone_model(model, clone_function=switched)
    for layer in model.layers:
        if layer.weights:
            probe.get_layer(layer.name).inner.set_weights(layer.get_weights())
    return probe, {name: probe.get_layer(name).switch for name in ends}


def _rounded(layer: Any, weights: list[Any]) -> list[Any]:
    """The weights with an int8 kernel: symmetric, one scale for each output channel."""
    if not weights:
        return weights
    kernel, *rest = weights
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    axes = (0, 1) if depthwise else tuple(range(kernel.ndim - 1))
    scale = np.maximum(np.abs(kernel).max(axis=axes, keepdims=True), 1e-12) / 127
    return [np.round(kernel / scale) * scale, *rest]
