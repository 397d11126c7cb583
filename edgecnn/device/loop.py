"""The one loop: capture, preprocess, invoke, postprocess, each timed, on any camera."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgecnn.device.capture import frames_of
from edgecnn.device.frames import PHASES, Answer, Camera, Frame
from edgecnn.device.views import View
from edgecnn.errors import UsageError
from edgecnn.inference import Prediction
from edgecnn.latency import LatencyStats
from edgecnn.preprocess import Pixels

KEPT_FRAMES = 10_000


class FrameClassifier(Protocol):
    """What the loop needs of `edgecnn.inference.Classifier`: its four steps, one at a time."""

    runtime: str
    threads: int
    labels: tuple[str, ...]

    def preprocess(self, frame: Pixels) -> NDArray[Any]:
        """The input tensor for a frame."""

    def invoke(self, tensor: NDArray[Any]) -> None:
        """Run the model once."""

    def scores(self) -> NDArray[np.float32]:
        """The scores of the last invoke, (classes,)."""

    def predictions(self, scores: NDArray[np.float32]) -> tuple[Prediction, ...]:
        """The best classes, best first."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a run came to.

    Attributes:
        frames: how many were answered.
        dropped: how many were captured and not answered.
        fps: (frames - 1) / (last answer - first answer); None for fewer than two frames.
        phases: statistics by phase, over the last `KEPT_FRAMES` frames; None where no frame was answered.
        left_out: the files that could not be read, each with its reason.
        truth: the share of frames whose best label is the true one, and their number; None where it is not known,
            or no class of the model's.
    """

    frames: int
    dropped: int
    fps: float | None
    phases: dict[str, LatencyStats | None]
    camera: str
    runtime: str
    threads: int
    left_out: tuple[str, ...]
    truth: tuple[float, int] | None

    def as_json(self) -> dict[str, Any]:
        """The document that ``demo --json`` prints."""
        return {
            "schema": 1,
            "frames": self.frames,
            "fps": self.fps,
            "dropped": self.dropped,
            "phases": {
                name: {key: getattr(stats, key, None) for key in ("p50_ms", "p90_ms", "p99_ms")}
                for name, stats in self.phases.items()
            },
            "runtime": self.runtime,
            "threads": self.threads,
            "camera": self.camera,
            "left_out": list(self.left_out),
            "truth": None if self.truth is None else {"accuracy": self.truth[0], "n": self.truth[1]},
        }


def run(
    camera: Camera,
    classifier: FrameClassifier,
    *,
    view: View,
    frames: int | None = None,
    pace: float | None = None,
    on_answer: Callable[[Answer], None] | None = None,
) -> Summary:
    """Answer frames until ``frames`` are answered, the camera ends, or Ctrl-C; all three are normal ends.

    Of a live camera the latest frame is answered, and what arrives meanwhile is dropped and counted. Of any other
    camera every frame is answered once, in order. Memory does not grow: percentiles are those of the last
    `KEPT_FRAMES` frames.

    Args:
        camera: an open camera.
        classifier: what answers.
        view: is shown every answer.
        frames: answer at most so many.
        pace: answer at most so many a second, on a schedule that does not drift; None for as fast as it goes.
        on_answer: is called with every answer; a `BrokenPipeError` from it is a normal end, too.

    Raises:
        DeviceError: the camera stopped delivering.
        UsageError: the pace is not above 0.
    """
    if pace is not None and not pace > 0:
        raise UsageError("The pace is wrong.", received=pace, accepted="frames a second, above 0", remedy="--pace 10")
    tally = _Tally()
    with frames_of(camera) as source:
        try:
            view.begin(camera.name, classifier.runtime, classifier.threads)
            start = time.perf_counter()
            while frames is None or tally.frames < frames:
                if pace is not None:
                    time.sleep(max(0.0, start + tally.frames / pace - time.perf_counter()))
                frame = source.take()
                if frame is None:
                    break
                answer = _answer(frame, classifier, dropped=source.dropped)
                tally.add(answer, knows=answer.frame.truth in classifier.labels)
                if on_answer is not None:
                    on_answer(answer)
                view.show(answer)
        except (KeyboardInterrupt, BrokenPipeError):
            pass  # the user, or the reader of what we write, has seen enough
    return tally.summary(camera, classifier, source.captured)


def _answer(frame: Frame, classifier: FrameClassifier, dropped: int) -> Answer:
    start = time.perf_counter_ns()
    tensor = classifier.preprocess(frame.image)
    preprocessed = time.perf_counter_ns()
    classifier.invoke(tensor)
    invoked = time.perf_counter_ns()
    predictions = classifier.predictions(classifier.scores())
    answered = time.perf_counter_ns()
    phases_ns = (frame.capture_ns, preprocessed - start, invoked - preprocessed, answered - invoked)
    return Answer(frame=frame, predictions=predictions, phases_ns=phases_ns, answered_ns=answered, dropped=dropped)


class _Tally:
    """Counts, and the timings of the last frames: the same memory after a minute and after a month."""

    def __init__(self) -> None:
        self.frames = 0
        self._ring = np.zeros((KEPT_FRAMES, len(PHASES)), np.int64)
        self._first_ns = self._last_ns = 0
        self._known = self._right = 0

    def add(self, answer: Answer, *, knows: bool) -> None:
        """``knows``: whether the frame's truth is known, and a class of the model's."""
        if not self.frames:
            self._first_ns = answer.answered_ns
        self._last_ns = answer.answered_ns
        self._ring[self.frames % KEPT_FRAMES] = answer.phases_ns
        self.frames += 1
        if knows:
            self._known += 1
            self._right += answer.predictions[0].label == answer.frame.truth

    def summary(self, camera: Camera, classifier: FrameClassifier, captured: int) -> Summary:
        samples = self._ring[: self.frames]
        seconds = (self._last_ns - self._first_ns) / 1e9
        return Summary(
            frames=self.frames,
            dropped=captured - self.frames,
            fps=round((self.frames - 1) / seconds, 3) if seconds > 0 else None,
            phases={
                name: LatencyStats.of(samples[:, column].tolist()) if self.frames else None
                for column, name in enumerate(PHASES)
            },
            camera=camera.name,
            runtime=classifier.runtime,
            threads=classifier.threads,
            left_out=tuple(camera.left_out),
            truth=(self._right / self._known, self._known) if self._known else None,
        )
