"""What happens to training images: batches in, batches out, all decided by a seed."""

from edgecnn.build.augment.geometry import Affine, Crop, Flip
from edgecnn.build.augment.light import Color, Light
from edgecnn.build.augment.occlusion import Cutout, Mixup
from edgecnn.build.augment.rand_augment import RandAugment
from edgecnn.build.augment.tone import AutoContrast, Posterize, Sharpness, Solarize

__all__ = [
    "Affine",
    "AutoContrast",
    "Color",
    "Crop",
    "Cutout",
    "Flip",
    "Light",
    "Mixup",
    "Posterize",
    "RandAugment",
    "Sharpness",
    "Solarize",
]
