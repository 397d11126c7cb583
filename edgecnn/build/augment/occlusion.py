"""What is hidden, and what two images share."""

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, kw_only=True)
class Cutout:
    """A grey rectangle hides a part of each image (DeVries and Taylor 2017, arXiv:1708.04552).

    Its middle is anywhere in the image, so that at a border less of the image is hidden.

    Attributes:
        size: the rectangle's sides, as a fraction of the image's; 0.5 hides at most a quarter of the image.
    """

    size: float

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        return [] if 0 <= self.size <= 1 else [f"Cutout takes a size from 0 to 1, not {self.size}"]

    def apply(self, images: Any, seed: Any) -> Any:
        """See `edgecnn.build.recipe.Augmentation`."""
        from edgecnn.build.keras import tf

        middles = tf.random.stateless_uniform([2, tf.shape(images)[0], 1], seed)
        hidden = []
        for middle, side in zip(tf.unstack(middles), images.shape[1:3], strict=True):
            width = round(self.size * side)
            first = tf.cast(tf.floor(middle * side), tf.int32) - width // 2
            place = tf.range(side)[tf.newaxis]
            hidden.append((place >= first) & (place < first + width))
        rectangle = hidden[0][:, :, tf.newaxis] & hidden[1][:, tf.newaxis, :]
        return tf.where(rectangle[..., tf.newaxis], 0.0, images)


@dataclass(frozen=True, kw_only=True)
class Mixup:
    """Each image is mixed with another of its batch, and so are their labels (Zhang et al. 2018, arXiv:1710.09412).

    What is asked of the network is then a share of two classes. The image itself has the larger share.

    Attributes:
        alpha: of the Beta distribution that the shares are drawn from; 0.2 mixes little, 1 anything alike.
    """

    alpha: float

    mixes: ClassVar[bool] = True

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        return [] if 0.01 <= self.alpha <= 100 else [f"Mixup takes an alpha from 0.01 to 100, not {self.alpha}"]

    def apply(self, images: Any, seed: Any) -> Any:
        """See `edgecnn.build.recipe.Augmentation`; the shares of classes, (batch, classes), are mixed by the same."""
        from edgecnn.build.keras import tf

        count = tf.shape(images)[0]
        for_partner, for_share = tf.unstack(tf.random.split(seed, 2))
        partner = tf.argsort(tf.random.stateless_uniform([count], for_partner))
        # Two gammas are a Beta; in double precision, for those of a small alpha are next to nothing.
        drawn = tf.random.stateless_gamma([2, count], for_share, tf.constant(self.alpha, tf.float64), dtype=tf.float64)
        share = tf.cast(drawn[0] / (drawn[0] + drawn[1]), tf.float32)
        share = tf.reshape(tf.maximum(share, 1.0 - share), [count] + [1] * (len(images.shape) - 1))
        return share * images + (1.0 - share) * tf.gather(images, partner)
