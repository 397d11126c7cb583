"""Layers that Keras 2 lacks and int8 wants. Whoever reads a model of ours imports this, so that Keras knows them."""

from typing import Any

from edgecnn.build.keras import keras, tf


@keras.utils.register_keras_serializable(package="edgecnn")
class HardSwish(keras.layers.Layer):  # type: ignore[misc]
    """``x * relu6(x + 3) / 6`` (Howard et al. 2019, arXiv:1905.02244): one operator in the file."""

    def call(self, inputs: Any) -> Any:
        """See Keras."""
        return inputs * (tf.nn.relu6(inputs + 3.0) * (1.0 / 6.0))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """See Keras."""
        return input_shape


@keras.utils.register_keras_serializable(package="edgecnn")
class ChannelPooling(keras.layers.Layer):  # type: ignore[misc]
    """The mean or the maximum over the channels: (batch, height, width, channels) to (batch, height, width, 1).

    Args:
        kind: ``mean`` or ``max``.
        settings: see Keras.
    """

    def __init__(self, kind: str, **settings: Any) -> None:
        super().__init__(**settings)
        self.kind = kind

    def call(self, inputs: Any) -> Any:
        """See Keras."""
        return (tf.reduce_mean if self.kind == "mean" else tf.reduce_max)(inputs, axis=-1, keepdims=True)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """See Keras."""
        return (*input_shape[:-1], 1)

    def get_config(self) -> dict[str, Any]:
        """See Keras."""
        return {**super().get_config(), "kind": self.kind}
