"""The networks: frozen dataclasses with ``build``, flat and ready for quantization."""

from edgecnn.build.architectures.resnet import ResNet8
from edgecnn.build.architectures.separable import SeparableNet

__all__ = ["ResNet8", "SeparableNet"]
