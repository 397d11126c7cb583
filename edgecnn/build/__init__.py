"""The workstation's half: from images to a proved bundle. What a recipe needs is here, and `build`.

Importing this loads no TensorFlow: a stage does that when it runs.
"""

from edgecnn.build.architectures import (
    CBAM,
    ConvNet,
    EfficientNetLite0,
    EfficientNetLite1,
    EfficientNetLite2,
    Inception,
    MobileNetV1,
    MobileNetV2,
    ResNet8,
    ResNet18,
    ResNet20,
    SeparableNet,
    SqueezeExcite,
)
from edgecnn.build.arrays import Idx
from edgecnn.build.augment import (
    Affine,
    AutoContrast,
    Color,
    Crop,
    Cutout,
    Flip,
    Light,
    Mixup,
    Posterize,
    RandAugment,
    Sharpness,
    Solarize,
)
from edgecnn.build.convert import Convert
from edgecnn.build.distill import Distill
from edgecnn.build.earlier import Earlier
from edgecnn.build.finetune import FineTune
from edgecnn.build.imagenet import LABELS as IMAGENET_LABELS
from edgecnn.build.imagenet import ImageNet
from edgecnn.build.npz import Npz
from edgecnn.build.out_of_set import OutOfSet
from edgecnn.build.photographs import Photographs
from edgecnn.build.pipeline import run as build
from edgecnn.build.pretrained import Pretrained
from edgecnn.build.prune import PruneChannels
from edgecnn.build.published import Published
from edgecnn.build.quantize import Quantize
from edgecnn.build.recipe import Card, Gate, Recipe
from edgecnn.build.sources import Folder, Shapes
from edgecnn.build.sparsify import Sparsify
from edgecnn.build.tfrecord import TFRecord
from edgecnn.build.train import Teach, Train
from edgecnn.build.verify import Verify
from edgecnn.compilation import CompileFor
from edgecnn.images import SplitRule
from edgecnn.preprocess import InputSpec
from edgecnn.targets.compiling import CompileOptions

__all__ = [
    "CBAM",
    "IMAGENET_LABELS",
    "Affine",
    "AutoContrast",
    "Card",
    "Color",
    "CompileFor",
    "CompileOptions",
    "ConvNet",
    "Convert",
    "Crop",
    "Cutout",
    "Distill",
    "Earlier",
    "EfficientNetLite0",
    "EfficientNetLite1",
    "EfficientNetLite2",
    "FineTune",
    "Flip",
    "Folder",
    "Gate",
    "Idx",
    "ImageNet",
    "Inception",
    "InputSpec",
    "Light",
    "Mixup",
    "MobileNetV1",
    "MobileNetV2",
    "Npz",
    "OutOfSet",
    "Photographs",
    "Posterize",
    "Pretrained",
    "PruneChannels",
    "Published",
    "Quantize",
    "RandAugment",
    "Recipe",
    "ResNet8",
    "ResNet18",
    "ResNet20",
    "SeparableNet",
    "Shapes",
    "Sharpness",
    "Solarize",
    "Sparsify",
    "SplitRule",
    "SqueezeExcite",
    "TFRecord",
    "Teach",
    "Train",
    "Verify",
    "build",
]
