"""The networks: frozen dataclasses with ``build``, flat and ready for quantization."""

from edgecnn.build.architectures.attention import CBAM, SqueezeExcite
from edgecnn.build.architectures.efficientnet import EfficientNetLite0, EfficientNetLite1, EfficientNetLite2
from edgecnn.build.architectures.inception import Inception
from edgecnn.build.architectures.mobilenet import MobileNetV1, MobileNetV2
from edgecnn.build.architectures.plain import ConvNet
from edgecnn.build.architectures.resnet import ResNet8, ResNet18, ResNet20
from edgecnn.build.architectures.separable import SeparableNet

__all__ = [
    "CBAM",
    "ConvNet",
    "EfficientNetLite0",
    "EfficientNetLite1",
    "EfficientNetLite2",
    "Inception",
    "MobileNetV1",
    "MobileNetV2",
    "ResNet8",
    "ResNet18",
    "ResNet20",
    "SeparableNet",
    "SqueezeExcite",
]
