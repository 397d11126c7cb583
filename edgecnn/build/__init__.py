"""The workstation's half: from images to a proved bundle. What a recipe needs is here.

Importing this loads no TensorFlow: a stage does that when it runs.
"""

from edgecnn.build.architectures import ResNet8, SeparableNet
from edgecnn.build.augment import Affine, Flip, Light
from edgecnn.build.convert import Convert
from edgecnn.build.data import Folder, Shapes
from edgecnn.build.quantize import Quantize
from edgecnn.build.recipe import Gate, Recipe
from edgecnn.build.sparsify import Sparsify
from edgecnn.build.train import Train
from edgecnn.build.verify import Verify
from edgecnn.images import SplitRule
from edgecnn.preprocess import InputSpec

__all__ = [
    "Affine",
    "Convert",
    "Flip",
    "Folder",
    "Gate",
    "InputSpec",
    "Light",
    "Quantize",
    "Recipe",
    "ResNet8",
    "SeparableNet",
    "Shapes",
    "Sparsify",
    "SplitRule",
    "Train",
    "Verify",
]
