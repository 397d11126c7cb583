"""The one loop, on any camera: capture and preprocess, invoke and postprocess, and showing, each in its own thread."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgecnn.device.ahead import Ahead
from edgecnn.device.collect import Collection
from edgecnn.device.frames import PHASES, Answer, Camera, Frame
from edgecnn.device.steady import SMOOTHING_S, Steady
from edgecnn.device.views import Controls, Run, View
from edgecnn.errors import UsageError
from edgecnn.inference import Prediction
from edgecnn.latency import LatencyStats
from edgecnn.preprocess import Pixels

KEPT_FRAMES = 10_000
IDLE_S = 0.2


class FrameClassifier(Protocol):
    """What the loop needs of `edgecnn.inference.Classifier`: its four steps; the first runs beside the others."""

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
        dropped: how many a live camera captured that were not answered.
        fps: (frames - 1) / (last answer - first answer); None for fewer than two frames.
        phases: statistics by phase, over the last `KEPT_FRAMES` frames; None where no frame was answered.
        age: from the capture of a frame to when the view had shown it; None where nothing was shown, or the camera is
            not live.
        left_out: the files that could not be read, each with its reason.
        truth: the share of frames whose best label is the true one, that of frames for which the true one was shown,
            and their number; None where it is not known, or no class of the model's.
    """

    frames: int
    dropped: int
    fps: float | None
    phases: dict[str, LatencyStats | None]
    age: LatencyStats | None
    camera: str
    runtime: str
    threads: int
    left_out: tuple[str, ...]
    truth: tuple[float, float, int] | None

    def as_json(self) -> dict[str, Any]:
        """The document that ``demo --json`` prints."""
        return {
            "schema": 1,
            "frames": self.frames,
            "fps": self.fps,
            "dropped": self.dropped,
            "phases": {name: _percentiles(stats) for name, stats in self.phases.items()},
            "age": self.age and _percentiles(self.age),
            "runtime": self.runtime,
            "threads": self.threads,
            "camera": self.camera,
            "left_out": list(self.left_out),
            "truth": self.truth and dict(zip(("accuracy", "shown", "n"), self.truth, strict=True)),
        }


def run(
    camera: Camera,
    classifier: FrameClassifier,
    *,
    view: View,
    frames: int | None = None,
    pace: float | None = None,
    threshold: float = 0.0,
    smoothing_s: float = SMOOTHING_S,
    consumers: Sequence[Callable[[Answer], None]] = (),
    collection: Collection | None = None,
) -> Summary:
    """Answer frames until ``frames`` are answered, the camera ends, or Ctrl-C; all three are normal ends.

    Of a live camera the latest frame is answered, and the latest answer shown; what arrives meanwhile is dropped and
    counted, so nothing ever queues up. Of any other camera every frame is answered and shown once, in order. While a
    frame is answered, the next is captured and preprocessed, and the answer before is shown. Memory does not grow:
    percentiles are those of the last `KEPT_FRAMES` frames.

    Args:
        camera: an open camera; it is read in a thread of its own.
        classifier: what answers.
        view: is shown the answers, by the thread that calls this.
        frames: answer at most so many.
        pace: answer at most so many a second, on a schedule that does not drift; None for as fast as it goes.
        threshold: the score under which a frame is unknown, 0 to 1; the view may change it.
        smoothing_s: see `edgecnn.device.steady`.
        consumers: are called with every answer, in the thread that answers; a `BrokenPipeError` from one is a normal
            end, too.
        collection: where a view may save frames as photos of a class; None where nobody asked for that.

    Raises:
        DeviceError: the camera stopped delivering.
        UsageError: the pace is not above 0.
    """
    if pace is not None and not pace > 0:
        raise UsageError("The pace is wrong.", received=pace, accepted="frames a second, above 0", remedy="--pace 10")
    controls = Controls(threshold=threshold)
    steady = Steady(threshold=threshold, smoothing_s=smoothing_s)
    tally, ages = _Tally(), _Ring(1)
    with Ahead(_ready(camera, classifier), latest=camera.live, name="capture") as ready:

        def answers() -> Iterator[Answer]:
            schedule = _schedule(frames, pace)
            while next(schedule) and (taken := _take(ready, controls)) is not None:
                steady.threshold = controls.threshold
                answer = _answer(taken, classifier, steady, dropped=ready.replaced)
                tally.add(answer, knows=answer.frame.truth in classifier.labels)
                for consume in consumers:
                    consume(answer)
                yield answer

        with Ahead(answers(), latest=camera.live, name="answer") as answered:
            try:
                view.begin(
                    Run(
                        camera=camera.name,
                        runtime=classifier.runtime,
                        threads=classifier.threads,
                        labels=classifier.labels,
                        controls=controls,
                        collection=collection,
                    )
                )
                while not (controls.stop or answered.over):
                    answer = answered.take(IDLE_S)
                    if answer is None:
                        view.idle("paused" if controls.paused else camera.notice)
                        continue
                    view.show(answer)
                    ages.add((time.perf_counter_ns() - answer.frame.captured_ns,))
            except (KeyboardInterrupt, BrokenPipeError):
                pass  # the user, or the reader of what we write, has seen enough
            finally:
                controls.stop = True
    return tally.summary(camera, classifier, dropped=ready.replaced, age=ages.stats()[0] if camera.live else None)


@dataclass(frozen=True, kw_only=True)
class _Ready:
    """A frame whose tensor is made."""

    frame: Frame
    tensor: NDArray[Any]
    preprocess_ns: int


def _ready(camera: Camera, classifier: FrameClassifier) -> Iterator[_Ready]:
    while (frame := camera.read()) is not None:
        start = time.perf_counter_ns()
        tensor = classifier.preprocess(frame.image)
        yield _Ready(frame=frame, tensor=tensor, preprocess_ns=time.perf_counter_ns() - start)


def _schedule(frames: int | None, pace: float | None) -> Iterator[bool]:
    """Waits until the next answer is due; False when there were enough."""
    start, answered = time.perf_counter(), 0
    while frames is None or answered < frames:
        if pace is not None:
            time.sleep(max(0.0, start + answered / pace - time.perf_counter()))
        yield True
        answered += 1
    yield False


def _take(ready: Ahead[_Ready], controls: Controls) -> _Ready | None:
    """The next frame; None at the end of the camera or of the run."""
    while not controls.stop and not ready.over:
        if controls.paused:
            time.sleep(IDLE_S)
        elif (taken := ready.take(IDLE_S)) is not None:
            return taken
    return None


def _answer(ready: _Ready, classifier: FrameClassifier, steady: Steady, dropped: int) -> Answer:
    start = time.perf_counter_ns()
    classifier.invoke(ready.tensor)
    invoked = time.perf_counter_ns()
    scores = classifier.scores()
    smoothed, kept = steady.update(scores, ready.frame.at_s)
    predictions, best = classifier.predictions(scores), classifier.predictions(smoothed)
    answered = time.perf_counter_ns()
    return Answer(
        frame=ready.frame,
        predictions=predictions,
        steady=best,
        shown=None
        if kept is None
        else Prediction(index=kept, label=classifier.labels[kept], score=float(smoothed[kept])),
        phases_ns=(ready.frame.capture_ns, ready.preprocess_ns, invoked - start, answered - invoked),
        answered_ns=answered,
        dropped=dropped,
    )


def _percentiles(stats: LatencyStats | None) -> dict[str, float | None]:
    return {key: getattr(stats, key, None) for key in ("p50_ms", "p90_ms", "p99_ms")}


class _Ring:
    """The last `KEPT_FRAMES` timings of each column: the same memory after a minute and after a month."""

    def __init__(self, columns: int) -> None:
        self.added = 0
        self._rows = np.zeros((KEPT_FRAMES, columns), np.int64)

    def add(self, timings_ns: tuple[int, ...]) -> None:
        self._rows[self.added % KEPT_FRAMES] = timings_ns
        self.added += 1

    def stats(self) -> list[LatencyStats | None]:
        rows = self._rows[: self.added]
        return [LatencyStats.of(column.tolist()) if self.added else None for column in rows.T]


class _Tally:
    """Counts the answers, and keeps the timings of the last ones."""

    def __init__(self) -> None:
        self._phases = _Ring(len(PHASES))
        self._first_ns = self._last_ns = 0
        self._known = self._right = self._shown = 0

    def add(self, answer: Answer, *, knows: bool) -> None:
        """``knows``: whether the frame's truth is known, and a class of the model's."""
        if not self._phases.added:
            self._first_ns = answer.answered_ns
        self._last_ns = answer.answered_ns
        self._phases.add(answer.phases_ns)
        if knows:
            self._known += 1
            self._right += answer.predictions[0].label == answer.frame.truth
            self._shown += answer.shown is not None and answer.shown.label == answer.frame.truth

    def summary(
        self, camera: Camera, classifier: FrameClassifier, *, dropped: int, age: LatencyStats | None
    ) -> Summary:
        frames, seconds = self._phases.added, (self._last_ns - self._first_ns) / 1e9
        return Summary(
            frames=frames,
            dropped=dropped,
            fps=round((frames - 1) / seconds, 3) if seconds > 0 else None,
            phases=dict(zip(PHASES, self._phases.stats(), strict=True)),
            age=age,
            camera=camera.name,
            runtime=classifier.runtime,
            threads=classifier.threads,
            left_out=tuple(camera.left_out),
            truth=(self._right / self._known, self._shown / self._known, self._known) if self._known else None,
        )
