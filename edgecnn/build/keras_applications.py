"""The weights of MobileNet that ``tf_keras.applications`` downloads, for our layers."""

from dataclasses import dataclass
from typing import Any, ClassVar

from edgecnn.build.architectures import MobileNetV1, MobileNetV2
from edgecnn.build.own import RANGES
from edgecnn.build.recipe import Architecture
from edgecnn.build.start import Arrays
from edgecnn.errors import UsageError
from edgecnn.preprocess import InputSpec
from edgecnn.silence import silenced

KNOWN = "MobileNetV1(relu6=True) and MobileNetV2"
_CLASSES, _SIZE = 1000, 224
_SIZES = {MobileNetV1: (128, 160, 192, 224), MobileNetV2: (96, 128, 160, 192, 224)}
_WIDTHS = {MobileNetV1: (0.25, 0.5, 0.75, 1.0), MobileNetV2: (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)}


@dataclass(frozen=True, kw_only=True)
class Downloaded:
    """Weights of one network.

    Attributes:
        architecture: ours.
        size: of the images that they were trained on, in pixels; they fit any other.
    """

    architecture: MobileNetV1 | MobileNetV2
    size: int

    scale: ClassVar[float] = RANGES["-1..1"][0]
    zero_point: ClassVar[int] = RANGES["-1..1"][1]

    def digest(self) -> str:
        """Their name: nothing is downloaded only to be known."""
        return f"tf_keras.applications {type(self.architecture).__name__} {self.architecture.width} {self.size}"

    def arrays(self, weights: str | None = "imagenet") -> Arrays:
        """The weights of each layer of ours, by its name.

        Args:
            weights: what Keras is asked for; None for random ones.

        Raises:
            UsageError: they are not on disk and cannot be downloaded.
        """
        return of_keras(self.network(weights), self.architecture)

    def network(self, weights: str | None) -> Any:
        """Keras's own, (batch, size, size, 3) float32 to logits (batch, 1000); see `arrays`."""
        from edgecnn.build.keras import keras

        v1, shape = isinstance(self.architecture, MobileNetV1), (self.size, self.size, 3)
        make = keras.applications.MobileNet if v1 else keras.applications.MobileNetV2
        try:
            with silenced():
                return make(shape, self.architecture.width, weights=weights, classifier_activation=None)
        except Exception as error:  # whatever the network, the disk and the unpacking may raise
            raise UsageError(
                f"The ImageNet weights of {type(self.architecture).__name__} are not on disk and cannot be downloaded.",
                received=" ".join(str(error).split())[:300] or type(error).__name__,
                accepted="a connection, or the file where tf_keras.applications keeps it",
                remedy="connect and run the command again, or take EfficientNetLite0, whose weights are a package",
            ) from error


def published(architecture: Architecture, spec: InputSpec) -> Downloaded | None:
    """The weights for a network, of the size of its input where there are some of that; None where there are none."""
    if not isinstance(architecture, MobileNetV1 | MobileNetV2):
        return None
    kind, width = type(architecture), architecture.width
    as_published = MobileNetV1(width=width, relu6=True) if kind is MobileNetV1 else MobileNetV2(width=width)
    if architecture != as_published or width not in _WIDTHS[kind]:
        return None
    sized = spec.height == spec.width and spec.height in _SIZES[kind] and width <= 1
    return Downloaded(architecture=architecture, size=spec.height if sized else _SIZE)


def of_keras(network: Any, architecture: MobileNetV1 | MobileNetV2) -> Arrays:
    """The weights of a network of ``tf_keras.applications`` for our layers, which come in the same order."""
    ours = architecture.build(InputSpec(height=_SIZE, width=_SIZE), _CLASSES)
    pairs = zip(*([layer for layer in each.layers if layer.weights] for each in (ours, network)), strict=True)
    # Their last layer is a convolution of 1x1 where ours is a dense one; all others have the same shapes.
    return {
        layer.name: [
            array.reshape(like.shape) for array, like in zip(theirs.get_weights(), layer.get_weights(), strict=True)
        ]
        for layer, theirs in pairs
    }
