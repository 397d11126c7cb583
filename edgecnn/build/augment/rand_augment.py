"""RandAugment: two numbers in place of a list of augmentations and their strengths."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgecnn.build.augment.geometry import Affine
from edgecnn.build.augment.light import Color, Light
from edgecnn.build.augment.tone import AutoContrast, Posterize, Sharpness, Solarize
from edgecnn.preprocess import InputSpec

if TYPE_CHECKING:
    from edgecnn.build.recipe import Augmentation

_OURS = InputSpec(height=1, width=1)
STRONGEST = 10


@dataclass(frozen=True, kw_only=True)
class RandAugment:
    """Each image goes through a few operations that it draws from a list (Cubuk et al. 2020, arXiv:1909.13719).

    On the list are, besides nothing at all, rotation, zoom, shift, exposure, contrast, saturation, hue, posterize,
    solarize, autocontrast and sharpness: see `operations`. Each draws its strength up to that of the magnitude.

    Attributes:
        n: how many operations an image goes through, one after the other.
        magnitude: from 0, nothing, to 10, the strongest.
    """

    n: int = 2
    magnitude: float = 5.0

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        if not (1 <= self.n <= 8 and 0 <= self.magnitude <= STRONGEST):
            return [f"RandAugment takes n from 1 to 8 and a magnitude from 0 to {STRONGEST}, not {self}"]
        return []

    def operations(self) -> "tuple[Augmentation, ...]":
        """The list at this magnitude; an image may also draw to stay as it is."""
        strength = self.magnitude / STRONGEST
        return (
            Affine(rotation_deg=30 * strength),
            Affine(zoom=0.4 * strength),
            Affine(shift=0.3 * strength),
            Light(brightness=0.4 * strength),
            Light(contrast=0.8 * strength),
            Color(saturation=strength),
            Color(hue=0.2 * strength),
            Posterize(bits=round(4 * strength)),
            Solarize(share=strength),
            AutoContrast(strength=strength),
            Sharpness(strength=strength),
        )

    def apply(self, images: Any, seed: Any) -> Any:
        """See `edgecnn.build.recipe.Augmentation`. Each operation works on those images alone that have drawn it."""
        from edgecnn.build.keras import tf

        operations = self.operations()
        for turn in tf.unstack(tf.random.split(seed, self.n)):
            for_choice, *seeds = tf.unstack(tf.random.split(turn, len(operations) + 1))
            count, choices = tf.shape(images)[0], len(operations) + 1
            choice = tf.random.stateless_uniform([count], for_choice, 0, choices, tf.int32)
            *members, others = tf.dynamic_partition(tf.range(count), choice, choices)
            parts = [
                operation.apply(tf.gather(images, chosen), seed)
                for operation, chosen, seed in zip(operations, members, seeds, strict=True)
            ]
            stitched = tf.dynamic_stitch([*members, others], [*parts, tf.gather(images, others)])
            images = tf.clip_by_value(tf.ensure_shape(stitched, images.shape), *_OURS.range())
        return images
