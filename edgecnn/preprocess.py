"""The one definition of preprocessing: a resize, and nothing else.

Training, calibration, verification and the device all call `InputSpec.apply`. There is no arithmetic on pixels
on the device: the normalisation of the network is the scale and the zero point of the file's input, chosen so
that a pixel *is* its quantized value.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Resize = Literal["stretch", "center_crop"]


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """What a network takes.

    Attributes:
        height: in pixels.
        width: in pixels.
        channels: 3: RGB, 1: grey.
        resize: how a frame is brought to that size: ``stretch`` ignores the aspect ratio, as MediaPipe's image
            classifier does; ``center_crop`` cuts the largest centred rectangle of the network's aspect ratio first.
        scale: the network sees (pixel - zero_point) * scale; networks that edgecnn trains see [-1, 127/128].
        zero_point: the pixel that it sees as 0.
    """

    height: int
    width: int
    channels: Literal[1, 3] = 3
    resize: Resize = "stretch"
    scale: float = 1 / 128
    zero_point: int = 128

    def problems(self) -> list[str]:
        """What is wrong with it, one sentence each."""
        problems = []
        if not (1 <= self.height <= 4096 and 1 <= self.width <= 4096):
            problems.append(f"input size is 1 to 4096 pixels, not {self.height}x{self.width}")
        if self.channels not in (1, 3):
            problems.append(f"input channels are 1 or 3, not {self.channels}")
        if self.resize not in ("stretch", "center_crop"):
            problems.append(f"input resize is 'stretch' or 'center_crop', not {self.resize!r}")
        if not (self.scale > 0 and 0 <= self.zero_point <= 255):
            problems.append(f"input scale is positive and its zero point a pixel, not {self.scale}, {self.zero_point}")
        return problems

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.height, self.width, self.channels

    def apply(self, frame: Pixels) -> Pixels:
        """Bring a frame to the network's size.

        Args:
            frame: RGB, (any height, any width, 3), uint8; one that has the network's shape is returned as it is.

        Returns:
            (height, width, channels), uint8. Pixel-area averaging is used, so that shrinking does not alias.
        """
        if frame.shape == self.shape:
            return frame
        top, left, height, width = self.region(*frame.shape[:2])
        frame = frame[top : top + height, left : left + width]
        if frame.shape[:2] != (self.height, self.width):
            frame = cast(Pixels, cv2.resize(frame, (self.width, self.height), interpolation=cv2.INTER_AREA))
        if self.channels == 1:
            return cast(Pixels, cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))[:, :, np.newaxis]
        return frame

    def region(self, height: int, width: int) -> tuple[int, int, int, int]:
        """The part of a frame of this size that the network sees: (top, left, height, width) in pixels."""
        if self.resize == "stretch":
            return 0, 0, height, width
        crop_height = min(height, max(1, round(width * self.height / self.width)))
        crop_width = min(width, max(1, round(height * self.width / self.height)))
        return (height - crop_height) // 2, (width - crop_width) // 2, crop_height, crop_width

    def dequantize(self, pixels: Pixels) -> NDArray[np.float32]:
        """What the network sees in training: float32, (pixel - zero point) * scale; exact in [-1, 127/128]."""
        return (pixels.astype(np.float32) - np.float32(self.zero_point)) * np.float32(self.scale)

    def range(self) -> tuple[float, float]:
        """What the darkest and the brightest pixel become, such as (-1, 127/128)."""
        return (0 - self.zero_point) * self.scale, (255 - self.zero_point) * self.scale

    def as_json(self) -> dict[str, Any]:
        """The fields, for the manifest."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "InputSpec":
        """The inverse of `as_json`.

        Raises:
            ValueError: the document does not describe an input.
        """
        spec = cls(**document)
        if problems := spec.problems():
            raise ValueError("; ".join(problems))
        return spec
