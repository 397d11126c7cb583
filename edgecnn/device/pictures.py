"""Cameras without a device: image files, and a scene that is drawn."""

import time
from pathlib import Path

from edgecnn.device.frames import Camera, Frame
from edgecnn.errors import DeviceError
from edgecnn.images import UnreadableImage, read_image, visible_files

SCENE_RATE = 30  # frames a second of the scene's own time


class ImageFolder(Camera):
    """The images in a folder and below it, sorted by path, or one image file. Hidden files are passed over.

    A file that cannot be read is left out, and ``left_out`` says so and why.

    Raises:
        DeviceError: there are no files; while reading, when it turns out that none of them is an image.
    """

    live = False

    def __init__(self, path: Path) -> None:
        self.name = path.name or str(path)
        self.left_out: list[str] = []
        self._path = path
        self._root = path if path.is_dir() else path.parent
        self._files = visible_files(path) if path.is_dir() else [path]
        self._next = self._captured = 0
        if not self._files:
            raise _no_images(path, "no files")

    def read(self) -> Frame | None:
        """Read the next file that is an image; the capture time is its read and its decode."""
        while self._next < len(self._files):
            path = self._files[self._next]
            self._next += 1
            start = time.perf_counter_ns()
            try:
                image, _ = read_image(path)
            except (UnreadableImage, OSError) as error:
                self.left_out.append(f"{path.relative_to(self._root)}: {error}")
                continue
            now, number = time.perf_counter_ns(), self._captured
            self._captured += 1
            source = str(path.relative_to(self._root))
            return Frame(number=number, image=image, captured_ns=now, capture_ns=now - start, source=source)
        if not self._captured:
            raise _no_images(self._path, "; ".join(self.left_out[:3]))
        return None

    def close(self) -> None:
        """Nothing is held."""


class Synthetic(Camera):
    """An endless moving scene with one shape at a time, whose truth is known; the same on every machine.

    Args:
        size: (height, width) in pixels.
        seed: decides everything.
    """

    name = "synthetic"
    live = False

    def __init__(self, size: tuple[int, int] = (480, 640), seed: int = 0) -> None:
        from edgecnn.shapes import CLASSES, Scene

        self.left_out: list[str] = []
        self._classes = CLASSES
        self._scene = Scene(size, seed)
        self._captured = 0

    def read(self) -> Frame:
        """Render the next frame; the capture time is the rendering."""
        start, number = time.perf_counter_ns(), self._captured
        image, index = self._scene.frame(number)
        self._captured += 1
        now = time.perf_counter_ns()
        return Frame(
            number=number,
            image=image,
            captured_ns=now,
            capture_ns=now - start,
            truth=self._classes[index],
            at_s=number / SCENE_RATE,
        )

    def close(self) -> None:
        """Nothing is held."""


def _no_images(path: Path, received: str) -> DeviceError:
    return DeviceError(
        f"There is no image in {path}.",
        received=received,
        accepted="a whole image in any format that OpenCV reads, or a folder that holds some",
        remedy="check the path, or try --camera synthetic",
    )
