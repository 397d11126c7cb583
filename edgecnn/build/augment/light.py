"""How bright, how strong and of what colour the light is."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Light:
    """Another exposure, contrast and colour of the light.

    Attributes:
        brightness: largest shift, as a fraction of the full range of a pixel.
        contrast: largest relative change, either way.
        color: largest shift of each channel by itself, as a fraction of the full range.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    color: float = 0.0

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        if not all(0 <= value < 1 for value in (self.brightness, self.contrast, self.color)):
            return [f"Light takes brightness, contrast and color from 0 to under 1, not {self}"]
        return []

    def apply(self, images: Any, seed: Any) -> Any:
        """See `edgecnn.build.recipe.Augmentation`."""
        from edgecnn.build.keras import tf

        count, channels = tf.shape(images)[0], images.shape[3]
        random = tf.random.stateless_uniform([count, 1, 1, 2 + channels], seed, -1.0, 1.0)
        shift = 2 * self.brightness * random[..., :1] + 2 * self.color * random[..., 2:]
        return images * (1.0 + self.contrast * random[..., 1:2]) + shift


# Of RGB: how bright it is, and two axes of colour (ITU-R BT.601, NTSC).
_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], np.float32)


@dataclass(frozen=True, kw_only=True)
class Color:
    """Stronger, paler and shifted colours, as bright as they were; a grey image stays as it is.

    Attributes:
        saturation: largest relative change of how strong colours are, either way; 1 reaches grey.
        hue: largest turn around the circle of colours, either way, as a fraction of it.
    """

    saturation: float = 0.0
    hue: float = 0.0

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        if not (0 <= self.saturation <= 1 and 0 <= self.hue <= 0.5):
            return [f"Color takes a saturation from 0 to 1 and a hue from 0 to 0.5, not {self}"]
        return []

    def apply(self, images: Any, seed: Any) -> Any:
        """See `edgecnn.build.recipe.Augmentation`."""
        from edgecnn.build.keras import tf

        if images.shape[3] != 3:
            return images
        random = tf.random.stateless_uniform([2, tf.shape(images)[0]], seed, -1.0, 1.0)
        strength, angle = 1.0 + self.saturation * random[0], 2 * math.pi * self.hue * random[1]
        cosine, sine, zero = strength * tf.cos(angle) - 1.0, strength * tf.sin(angle), tf.zeros_like(angle)
        turned = tf.stack([zero, zero, zero, zero, cosine, -sine, zero, sine, cosine], axis=1)
        change = np.linalg.inv(_YIQ) @ tf.reshape(turned, [-1, 3, 3]) @ _YIQ
        return images + tf.einsum("bhwc,bdc->bhwd", images, change)
