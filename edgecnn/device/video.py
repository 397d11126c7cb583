"""A video file: every frame of it, or at a pace."""

from dataclasses import replace
from pathlib import Path

import cv2

from edgecnn.device.frames import Frame
from edgecnn.device.opencv import Capture, Undecodable
from edgecnn.errors import DeviceError

MISSING_S = 1.0


class VideoFile(Capture):
    """Every frame of a video file, in order, turned upright as the file says.

    One that ends more than a second before the time that it says it lasts is named in ``left_out``.

    Raises:
        DeviceError: OpenCV reads no video from it.
    """

    live = False

    def __init__(self, path: Path) -> None:
        super().__init__(path.name, str(path), cv2.CAP_FFMPEG)
        self._path = path
        if not self.capture.isOpened():
            raise _no_video(path)
        self.capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # off by default in OpenCV 4.11 (opencv#26795)

    @property
    def rate(self) -> float:
        """Its own pace in frames a second, by its own word; 25 where it does not say."""
        rate = self.capture.get(cv2.CAP_PROP_FPS)
        return rate if 0 < rate <= 1000 else 25.0

    def read(self) -> Frame | None:
        """Decode the next frame; the capture time is the whole of it, ``at_s`` is its place in the film.

        Raises:
            DeviceError: there is no picture in the file, or one that cannot be decoded.
        """
        try:
            frame = self.grab(wait=False)
        except Undecodable:
            raise DeviceError(
                f"Frame {self.captured} of {self.name} cannot be decoded.",
                accepted="a video that is whole",
                remedy="convert it: `ffmpeg -i FILE -c:v libx264 out.mp4`",
            ) from None
        if frame is None and not self.closed:
            if not self.captured:  # FFmpeg opens a text, and finds no picture in it
                raise _no_video(self._path)
            self._check_end()
        return frame and replace(frame, at_s=self.capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3)

    def _check_end(self) -> None:
        """Say once what a file that was cut short lacks."""
        seconds, says = self.captured / self.rate, self.capture.get(cv2.CAP_PROP_FRAME_COUNT) / self.rate
        if says - seconds > MISSING_S and not self.left_out:
            self.left_out.append(f"{self.name}: ends after {seconds:.1f} of {says:.1f} s, it may have been cut short")


def _no_video(path: Path) -> DeviceError:
    return DeviceError(
        f"{path} is neither an image nor a video that can be read.",
        received=str(path),
        accepted="a file that OpenCV reads, for example .mp4, .avi, .mkv, .jpg, .png",
        remedy="check that the file is whole, or convert it: `ffmpeg -i FILE -c:v libx264 out.mp4`",
    )
