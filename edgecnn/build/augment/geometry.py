"""Where things are in the image: turned, shifted, mirrored."""

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Affine:
    """Rotation, zoom and shift in one resampling; what comes from outside is mirrored in.

    Attributes:
        rotation_deg: largest angle, either way.
        zoom: largest relative change of size, either way.
        shift: largest shift, as a fraction of the side.
    """

    rotation_deg: float = 0.0
    zoom: float = 0.0
    shift: float = 0.0

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        if not (0 <= self.rotation_deg <= 180 and 0 <= self.zoom < 1 and 0 <= self.shift < 1):
            return [f"Affine takes an angle of 0 to 180 and zoom and shift from 0 to under 1, not {self}"]
        return []

    def apply(self, images: Any, seed: Any) -> Any:
        """See `edgecnn.build.recipe.Augmentation`."""
        from edgecnn.build.keras import tf

        count, height, width = tf.shape(images)[0], images.shape[1], images.shape[2]
        random = tf.random.stateless_uniform([4, count], seed, -1.0, 1.0)
        angle, scale = random[0] * math.radians(self.rotation_deg), 1.0 + random[1] * self.zoom
        cosine, sine = tf.cos(angle) / scale, tf.sin(angle) / scale
        center_x, center_y = (width - 1) / 2, (height - 1) / 2
        shift_x, shift_y = random[2] * self.shift * width, random[3] * self.shift * height
        zero = tf.zeros([count])
        transforms = tf.stack(
            [
                cosine,
                -sine,
                center_x - cosine * center_x + sine * center_y + shift_x,
                sine,
                cosine,
                center_y - sine * center_x - cosine * center_y + shift_y,
                zero,
                zero,
            ],
            axis=1,
        )
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=transforms,
            output_shape=[height, width],
            interpolation="BILINEAR",
            fill_mode="REFLECT",
            fill_value=0.0,
        )


@dataclass(frozen=True, kw_only=True)
class Crop:
    """A shift by whole pixels, as a random crop of the image with a border; the border mirrors what is next to it.

    Attributes:
        border: width of the border in pixels, the largest shift either way.
    """

    border: int

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        return [f"Crop takes a border of at least 1 pixel, not {self.border}"] if self.border < 1 else []

    def apply(self, images: Any, seed: Any) -> Any:
        """See `edgecnn.build.recipe.Augmentation`."""
        from edgecnn.build.keras import tf

        count, height, width = tf.shape(images)[0], images.shape[1], images.shape[2]
        corners = tf.random.stateless_uniform([2, count, 1], seed, 0, 2 * self.border + 1, tf.int32)
        border = [self.border, self.border]
        padded = tf.pad(images, [[0, 0], border, border, [0, 0]], "REFLECT")
        rows = tf.gather(padded, corners[0] + tf.range(height), axis=1, batch_dims=1)
        return tf.gather(rows, corners[1] + tf.range(width), axis=2, batch_dims=1)


@dataclass(frozen=True, kw_only=True)
class Flip:
    """Half of the images are mirrored left to right. Not for classes that a mirror changes."""

    def problems(self) -> list[str]:
        """Nothing can be wrong."""
        return []

    def apply(self, images: Any, seed: Any) -> Any:
        """See `edgecnn.build.recipe.Augmentation`."""
        from edgecnn.build.keras import tf

        mirrored = tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 1], seed) < 0.5
        return tf.where(mirrored, tf.reverse(images, [2]), images)
