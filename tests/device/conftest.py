"""Frames that carry their number in their pixels, a video of them, and a classifier that reads the number."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.inference import Prediction
from edgecnn.preprocess import Pixels

STEP = 8  # grey levels between two numbers: more than what JPEG changes
NUMBERS = 30


def numbered(number: int, height: int = 48, width: int = 64) -> Pixels:
    return np.full((height, width, 3), number * STEP, np.uint8)


class NumberClassifier:
    """Its best label is the number in the frame."""

    runtime = "arithmetic 1.0"
    threads = 1
    labels = tuple(str(number) for number in range(32))
    map_shape: tuple[int, ...] | None = (2, 2)

    def __init__(self) -> None:
        self._number = 0

    def preprocess(self, frame: Pixels) -> NDArray[Any]:
        assert frame.dtype == np.uint8
        assert frame.shape[2] == 3
        return frame

    def invoke(self, tensor: NDArray[Any]) -> None:
        self._number = round(float(tensor.mean()) / STEP)

    def scores(self) -> NDArray[np.float32]:
        scores = np.zeros(NUMBERS, np.float32)
        scores[self._number] = 1
        return scores

    def class_map(self, index: int) -> NDArray[np.float32]:
        assert index == self._number
        return np.array([[1, 0], [0, 0]], np.float32)

    def region(self, frame: Pixels) -> tuple[int, int, int, int]:
        return 0, 0, *frame.shape[:2]

    def predictions(self, scores: NDArray[np.float32]) -> tuple[Prediction, ...]:
        best = int(scores.argmax())
        return (
            Prediction(index=best, label=str(best), score=1.0),
            Prediction(index=(best + 1) % NUMBERS, label=str((best + 1) % NUMBERS), score=0.0),
        )


@pytest.fixture
def number_classifier() -> NumberClassifier:
    return NumberClassifier()


@pytest.fixture(scope="session")
def write_video(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A real video file of given RGB frames."""

    def write(images: list[Pixels], name: str = "numbers.avi", codec: str = "MJPG") -> Path:
        path = tmp_path_factory.mktemp("video") / name
        height, width = images[0].shape[:2]
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 10, (width, height))
        assert writer.isOpened()
        for image in images:
            writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        writer.release()
        return path

    return write


@pytest.fixture(scope="session")
def number_video(write_video: Callable[..., Path]) -> Path:
    return write_video([numbered(number) for number in range(NUMBERS)])


@pytest.fixture
def number_folder(tmp_path: Path) -> Path:
    """Numbers 0 to 4 in two folders, a file that is no image, a JPEG that was cut short, and a hidden file."""
    folder = tmp_path / "numbers"
    for number in range(5):
        path = folder / ("a" if number < 3 else "b") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), numbered(number))
    cv2.imwrite(str(folder / "a" / "1-cut.jpg"), numbered(7))
    whole = (folder / "a" / "1-cut.jpg").read_bytes()
    (folder / "a" / "1-cut.jpg").write_bytes(whole[: len(whole) - 20])
    (folder / "notes.txt").write_text("not an image")
    (folder / ".hidden.png").write_bytes((folder / "a" / "0.png").read_bytes())
    return folder
