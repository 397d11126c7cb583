"""What a user may ask of any camera: size, rate, rotation, mirror, a region; and the one place that turns and cuts."""

from dataclasses import dataclass
from typing import Any, Literal, cast

import cv2

from edgecnn.errors import DeviceError
from edgecnn.preprocess import Pixels

ROTATIONS = (0, 90, 180, 270)
_TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


@dataclass(frozen=True)
class Region:
    """A rectangle of the picture as it is shown, that is, after rotation and mirror.

    All four are fractions of the picture where width and height are at most 1 (``0.25, 0.25, 0.5, 0.5`` is the middle),
    and pixels otherwise.
    """

    left: float
    top: float
    width: float
    height: float

    @property
    def fractions(self) -> bool:
        """Fractions, not pixels: nobody means a region of one pixel."""
        return self.width <= 1 and self.height <= 1

    def problems(self) -> list[str]:
        """What is wrong with it, one sentence each."""
        if not (self.left >= 0 and self.top >= 0 and self.width > 0 and self.height > 0):
            return [f"a region begins at 0 or after it and is larger than nothing, not {self}"]
        if self.fractions and not (self.left + self.width <= 1 and self.top + self.height <= 1):
            return [f"a region in fractions ends at 1 or before it, not {self}"]
        return []

    def cut(self, image: Pixels) -> Pixels:
        """The region of an image, (height, width, 3); no pixel is copied.

        Raises:
            DeviceError: it reaches beyond the image, which only a region in pixels can.
        """
        height, width = image.shape[:2]
        x, y = (width, height) if self.fractions else (1, 1)
        left, top = min(round(self.left * x), width - 1), min(round(self.top * y), height - 1)
        right = max(round((self.left + self.width) * x), left + 1)
        bottom = max(round((self.top + self.height) * y), top + 1)
        if right > width or bottom > height:
            raise DeviceError(
                "The region reaches beyond the picture.",
                received=f"{self} of a picture of {width}x{height}",
                accepted="pixels inside of the picture, after --rotate, or fractions of it",
                remedy="--roi 0.25,0.25,0.5,0.5 is the middle of any picture",
            )
        return image[top:bottom, left:right]

    def __str__(self) -> str:
        return ",".join(f"{number:g}" for number in (self.left, self.top, self.width, self.height))


@dataclass(frozen=True, kw_only=True)
class CameraOptions:
    """What is asked of a camera. A picture is turned, then mirrored, then cut, and never resized.

    Attributes:
        size: (height, width) in pixels, before any turning. It is asked of a USB camera and of a Pi's own, which may
            give another one (that is then said), and of the synthetic scene. What has the size that it has, a stream or
            a file, refuses it. None: 640x480 where there is a choice.
        rate: frames a second. It is asked of a camera; a video, images and the scene become a live source that shows so
            many. Streams refuse it. None: a camera's own choice, and as fast as it goes for the rest.
        rotation: degrees by which the picture is turned clockwise: 0, 90, 180 or 270.
        mirror: left and right change places, as in a mirror.
        region: the part of the picture that the model sees, as it is shown; None for all of it.
        realtime: a video is a live source that plays at its own pace.
        stall_s: a live camera without a frame for so many seconds is opened again; opening may take twice as long.
    """

    size: tuple[int, int] | None = None
    rate: float | None = None
    rotation: Literal[0, 90, 180, 270] = 0
    mirror: bool = False
    region: Region | None = None
    realtime: bool = False
    stall_s: float = 5.0

    def problems(self) -> list[str]:
        """What is wrong with it, one sentence each."""
        problems = []
        if self.size is not None and not all(16 <= side <= 8192 for side in self.size):
            problems.append(f"the size is 16 to 8192 pixels a side, not {as_typed(self.size)}")
        if self.rate is not None and not 0 < self.rate <= 1000:
            problems.append(f"the rate is above 0 and at most 1000 frames a second, not {self.rate}")
        if self.rotation not in ROTATIONS:
            problems.append(f"the rotation is 0, 90, 180 or 270 degrees, not {self.rotation}")
        if self.rate is not None and self.realtime:
            problems.append("a rate and the video's own pace exclude each other")
        if not 0 < self.stall_s < float("inf"):
            problems.append(f"a stall is a number of seconds, not {self.stall_s}")
        return problems + (self.region.problems() if self.region else [])

    @property
    def changes_pictures(self) -> bool:
        """Whether `apply` does anything."""
        return bool(self.rotation or self.mirror or self.region)

    def apply(self, image: Pixels) -> Pixels:
        """Turn, mirror and cut one picture: RGB, (any height, any width, 3), uint8."""
        if self.rotation:
            image = cast(Pixels, cv2.rotate(image, _TURNS[self.rotation]))
        if self.mirror:
            image = cast(Pixels, cv2.flip(image, 1))
        return self.region.cut(image) if self.region else image

    def asked(self) -> dict[str, Any]:
        """What only some sources can give: the options among size, rate and realtime that were asked for."""
        return {name: value for name in ("size", "rate", "realtime") if (value := getattr(self, name))}


NOTHING_ASKED = CameraOptions()


def as_typed(size: tuple[int, int]) -> str:
    """(480, 640) as people write it: ``640x480``."""
    return f"{size[1]}x{size[0]}"
