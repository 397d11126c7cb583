"""What is done to the values of pixels: fewer of them, turned over, stretched, sharpened."""

from dataclasses import dataclass
from typing import Any

from edgecnn.preprocess import InputSpec

_LOWEST, _HIGHEST = InputSpec(height=1, width=1).range()


@dataclass(frozen=True, kw_only=True)
class Posterize:
    """Fewer values: the last bits of a pixel are left out.

    Attributes:
        bits: at most so many of the 8, from 0 on, each image its own number.
    """

    bits: int

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        return [] if 0 <= self.bits <= 7 else [f"Posterize takes 0 to 7 bits, not {self.bits}"]

    def apply(self, images: Any, seed: Any) -> Any:
        """See `edgecnn.build.recipe.Augmentation`."""
        from edgecnn.build.keras import tf

        bits = tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 1], seed, 0, self.bits + 1, tf.int32)
        step = 2.0 ** tf.cast(bits, tf.float32) / 128
        return tf.where(bits > 0, tf.floor((images + 1.0) / step) * step - 1.0, images)


@dataclass(frozen=True, kw_only=True)
class Solarize:
    """The brightest pixels are turned over, as in a negative.

    Attributes:
        share: at most this share of the range of a pixel, from its top on, each image its own.
    """

    share: float

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        return [] if 0 <= self.share <= 1 else [f"Solarize takes a share from 0 to 1, not {self.share}"]

    def apply(self, images: Any, seed: Any) -> Any:
        """See `edgecnn.build.recipe.Augmentation`."""
        from edgecnn.build.keras import tf

        drawn = tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 1], seed)
        return tf.where(images > _HIGHEST - 2.0 * self.share * drawn, _LOWEST + _HIGHEST - images, images)


@dataclass(frozen=True, kw_only=True)
class AutoContrast:
    """Each channel is stretched over the whole range of a pixel.

    Attributes:
        strength: at most so much of the way there, each image its own.
    """

    strength: float = 1.0

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        return [] if 0 <= self.strength <= 1 else [f"AutoContrast takes a strength from 0 to 1, not {self.strength}"]

    def apply(self, images: Any, seed: Any) -> Any:
        """See `edgecnn.build.recipe.Augmentation`."""
        from edgecnn.build.keras import tf

        drawn = self.strength * tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 1], seed)
        low, high = (of(images, axis=[1, 2], keepdims=True) for of in (tf.reduce_min, tf.reduce_max))
        stretched = (images - low) * tf.math.divide_no_nan(_HIGHEST - _LOWEST, high - low) + _LOWEST
        return images + drawn * tf.where(high > low, stretched - images, 0.0)


@dataclass(frozen=True, kw_only=True)
class Sharpness:
    """Sharper and softer: away from, or towards, the mean of each pixel and its neighbours.

    Attributes:
        strength: at most so much of the way, either way.
    """

    strength: float

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        return [] if 0 <= self.strength <= 1 else [f"Sharpness takes a strength from 0 to 1, not {self.strength}"]

    def apply(self, images: Any, seed: Any) -> Any:
        """See `edgecnn.build.recipe.Augmentation`."""
        from edgecnn.build.keras import tf

        drawn = tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 1], seed, -1.0, 1.0)
        padded = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
        soft = tf.nn.avg_pool2d(padded, 3, 1, "VALID")
        return images + self.strength * drawn * (images - soft)
