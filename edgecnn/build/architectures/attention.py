"""Attention: blocks that weigh what a network has found, for any architecture that takes a setting ``attention``."""

from dataclasses import dataclass
from typing import Any

_FEWEST = 8  # channels between the two layers of a gate: int8 kernels gain nothing from fewer


@dataclass(frozen=True, kw_only=True)
class SqueezeExcite:
    """A gate for each channel, from the mean of every channel (Hu et al. 2018, arXiv:1709.01507).

    Attributes:
        reduction: the channels that the gate is computed through are fewer by this factor, but not under 8.
    """

    reduction: int = 16

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        return _reduction_problems(self)

    def apply(self, x: Any, name: str) -> Any:
        """Weigh a Keras tensor (batch, height, width, channels); the new layers are named after ``name``."""
        from edgecnn.build.keras import keras

        layers = keras.layers
        squeeze, excite = _gate(x.shape[-1], self.reduction, name)
        mean = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_mean")(x)
        gate = layers.Activation("sigmoid", name=f"{name}_gate")(excite(squeeze(mean)))
        return layers.Multiply(name=f"{name}_weighed")([x, gate])


@dataclass(frozen=True, kw_only=True)
class CBAM:
    """A gate for each channel, then one for each pixel (Woo et al. 2018, arXiv:1807.06521).

    The gate of the channels is made from their means and their maxima through shared layers; that of the pixels from
    the mean and the maximum over the channels. A mean over fewer channels is another one: `PruneChannels` leaves the
    channels that CBAM weighs, and removes those inside the blocks.

    Attributes:
        reduction: see `SqueezeExcite`.
        kernel_size: of the convolution that makes the gate of the pixels, in pixels, odd. A batch norm is behind it, as
            in the authors' code.
    """

    reduction: int = 16
    kernel_size: int = 7

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        problems = _reduction_problems(self)
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            problems.append(f"CBAM takes an odd kernel_size, not {self.kernel_size}")
        return problems

    def apply(self, x: Any, name: str) -> Any:
        """Weigh a Keras tensor (batch, height, width, channels); the new layers are named after ``name``."""
        return self._weigh_pixels(self._weigh_channels(x, f"{name}_channel"), f"{name}_pixel")

    def _weigh_channels(self, x: Any, name: str) -> Any:
        from edgecnn.build.keras import keras

        layers = keras.layers
        squeeze, excite = _gate(x.shape[-1], self.reduction, name)
        mean = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_mean")(x)
        largest = layers.GlobalMaxPooling2D(keepdims=True, name=f"{name}_max")(x)
        total = layers.Add(name=f"{name}_sum")([excite(squeeze(mean)), excite(squeeze(largest))])
        gate = layers.Activation("sigmoid", name=f"{name}_gate")(total)
        return layers.Multiply(name=f"{name}_weighed")([x, gate])

    def _weigh_pixels(self, x: Any, name: str) -> Any:
        from edgecnn.build.architectures.blocks import convolution
        from edgecnn.build.custom_layers import ChannelPooling
        from edgecnn.build.keras import keras

        layers = keras.layers
        summary = layers.Concatenate(name=f"{name}_summary")(
            [ChannelPooling(kind, name=f"{name}_{kind}")(x) for kind in ("mean", "max")]
        )
        gate = convolution(summary, 1, self.kernel_size, name=f"{name}_logit", relu=None)
        gate = layers.Activation("sigmoid", name=f"{name}_gate")(gate)
        return layers.Multiply(name=f"{name}_weighed")([x, gate])


Attention = SqueezeExcite | CBAM


def attended(x: Any, attention: Attention | None, name: str) -> Any:
    """A Keras tensor as a block of attention weighs it, or as it is."""
    return attention.apply(x, f"{name}_attention") if attention else x


def _reduction_problems(attention: Attention) -> list[str]:
    if attention.reduction >= 1:
        return []
    return [f"{type(attention).__name__} takes a reduction of at least 1, not {attention.reduction}"]


def _gate(channels: int, reduction: int, name: str) -> tuple[Any, Any]:
    """The two layers that compute a gate, as convolutions of 1x1: a dense layer would need two reshapes."""
    from edgecnn.build.keras import keras

    fewer = max(_FEWEST, channels // reduction)
    squeeze = keras.layers.Conv2D(fewer, 1, activation="relu", name=f"{name}_squeeze")
    return squeeze, keras.layers.Conv2D(channels, 1, name=f"{name}_excite")
