"""The one loop, on any camera: capture and preprocess | invoke | postprocess | show, each in its own thread."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle import nothing_classes
from edgecnn.device.ahead import Ahead
from edgecnn.device.collect import Collection
from edgecnn.device.frames import Answer, Camera, Frame, Looking
from edgecnn.device.steady import SMOOTHING_S, Steady
from edgecnn.device.summary import Ring, Summary, Tally
from edgecnn.device.views import Controls, Run, View
from edgecnn.errors import UsageError
from edgecnn.inference import Prediction
from edgecnn.preprocess import Pixels

IDLE_S = 0.2


class FrameClassifier(Protocol):
    """What the loop needs of `edgecnn.inference.Classifier`: its four steps, in three threads."""

    runtime: str
    threads: int
    labels: tuple[str, ...]
    map_shape: tuple[int, ...] | None

    def preprocess(self, frame: Pixels) -> NDArray[Any]:
        """The input tensor for a frame."""

    def invoke(self, tensor: NDArray[Any]) -> None:
        """Run the model once."""

    def scores(self) -> NDArray[np.float32]:
        """The scores of the last invoke, (classes,)."""

    def class_map(self, index: int) -> NDArray[np.float32]:
        """Where the last invoke saw a class, (h, w); only where there is a `map_shape`."""

    def region(self, frame: Pixels) -> tuple[int, int, int, int]:
        """The part of a frame that the network sees: (top, left, height, width)."""

    def predictions(self, scores: NDArray[np.float32]) -> tuple[Prediction, ...]:
        """The best classes, best first."""


def run(
    camera: Camera,
    classifier: FrameClassifier,
    *,
    view: View,
    frames: int | None = None,
    pace: float | None = None,
    threshold: float = 0.0,
    smoothing_s: float = SMOOTHING_S,
    overlay: bool = False,
    consumers: Sequence[Callable[[Answer], None]] = (),
    collection: Collection | None = None,
    on_end: Callable[[], None] | None = None,
) -> Summary:
    """Answer frames until ``frames`` are answered, the camera ends, or Ctrl-C; all three are normal ends.

    Of a live camera the latest frame is answered, and the latest answer shown; what arrives meanwhile is dropped and
    counted, so nothing ever queues up. Of any other camera every frame is answered and shown once, in order. While the
    model runs on a frame, the next is captured and preprocessed, and the answer before is finished and shown. Memory
    does not grow: percentiles are those of the last `KEPT_FRAMES` frames.

    Args:
        camera: an open camera; it is read in a thread of its own. One that is live is closed in the end.
        classifier: what answers.
        view: is shown the answers, by the thread that calls this.
        frames: answer at most so many.
        pace: answer at most so many a second, on a schedule that does not drift; None for as fast as it goes.
        threshold: the score under which a frame is unknown, 0 to 1; the view may change it.
        smoothing_s: see `edgecnn.device.steady`.
        overlay: say where the network looks; the view may change it.
        consumers: are called with every answer, in the thread that answers; a `BrokenPipeError` from one is a normal
            end, too.
        collection: where a view may save frames as photos of a class; None where nobody asked for that.
        on_end: the view stays after the last answer, until it stops the run or Ctrl-C does; this is called when that
            begins. None: the run ends there.

    Raises:
        DeviceError: the camera stopped delivering.
        UsageError: the pace is not above 0.
    """
    if pace is not None and not pace > 0:
        raise UsageError("The pace is wrong.", received=pace, accepted="frames a second, above 0", remedy="--pace 10")
    controls = Controls(threshold=threshold, overlay=overlay and classifier.map_shape is not None)
    nothing = nothing_classes(classifier.labels)
    steady = Steady(threshold=threshold, smoothing_s=smoothing_s, nothing=nothing)
    tally, ages = Tally(classifier.labels, nothing), Ring(1)
    captured = 0

    def prepared() -> Iterator[_Ready]:
        nonlocal captured
        while (frame := camera.read()) is not None:
            captured = frame.number + 1
            yield _prepare(frame, classifier)

    def invoked() -> Iterator[_Invoked]:
        schedule = _schedule(frames, pace)
        answered = 0
        while next(schedule) and (taken := _take(ready, controls)) is not None:
            # Numbers have gaps where a camera had a newer frame before the older one was read.
            dropped = taken.frame.number - answered if camera.live else 0
            yield _invoke(taken, classifier, dropped=dropped, overlay=controls.overlay)
            answered += 1

    def answers() -> Iterator[Answer]:
        for each in results:
            steady.threshold = controls.threshold
            answer = _answer(each, classifier, steady)
            tally.add(answer)
            for consume in consumers:
                consume(answer)
            yield answer

    with (
        Ahead(prepared(), latest=camera.live, name="capture") as ready,
        Ahead(invoked(), latest=False, name="invoke") as results,
        Ahead(answers(), latest=camera.live, name="answer") as answered,
    ):
        try:
            view.begin(
                Run(
                    camera=camera.name,
                    runtime=classifier.runtime,
                    threads=classifier.threads,
                    labels=classifier.labels,
                    controls=controls,
                    class_maps=classifier.map_shape is not None,
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
            if on_end and not controls.stop:
                on_end()
            while on_end and not controls.stop:
                view.idle(f"{camera.name} has ended")
                time.sleep(IDLE_S)
        except (KeyboardInterrupt, BrokenPipeError):
            pass  # the user, or the reader of what we write, has seen enough
        finally:
            controls.stop = True
            if camera.live:
                camera.close()  # which ends a read that waits
    age = ages.stats()[0] if camera.live else None
    return tally.summary(camera, classifier.runtime, classifier.threads, captured=captured, age=age)


@dataclass(frozen=True, kw_only=True)
class _Ready:
    """A frame whose tensor is made."""

    frame: Frame
    tensor: NDArray[Any]
    preprocess_ns: int


def _prepare(frame: Frame, classifier: FrameClassifier) -> _Ready:
    start = time.perf_counter_ns()
    tensor = classifier.preprocess(frame.image)
    return _Ready(frame=frame, tensor=tensor, preprocess_ns=time.perf_counter_ns() - start)


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


@dataclass(frozen=True, kw_only=True)
class _Invoked:
    """What the model said of a frame."""

    ready: _Ready
    scores: NDArray[np.float32]
    invoke_ns: int
    dropped: int
    looking: Looking | None


def _invoke(ready: _Ready, classifier: FrameClassifier, *, dropped: int, overlay: bool) -> _Invoked:
    """The one step that the model waits for: everything else is done beside it."""
    start = time.perf_counter_ns()
    classifier.invoke(ready.tensor)
    invoke_ns = time.perf_counter_ns() - start
    scores, looking = classifier.scores(), None
    if overlay:
        found = classifier.class_map(int(np.nan_to_num(scores).argmax()))
        looking = Looking(map=found, region=classifier.region(ready.frame.image))
    return _Invoked(ready=ready, scores=scores, invoke_ns=invoke_ns, dropped=dropped, looking=looking)


def _answer(invoked: _Invoked, classifier: FrameClassifier, steady: Steady) -> Answer:
    start, ready = time.perf_counter_ns(), invoked.ready
    smoothed, kept = steady.update(invoked.scores, ready.frame.at_s)
    predictions, best = classifier.predictions(invoked.scores), classifier.predictions(smoothed)
    shown = None
    if kept is not None:
        shown = Prediction(index=kept, label=classifier.labels[kept], score=float(smoothed[kept]))
    answered = time.perf_counter_ns()
    return Answer(
        frame=ready.frame,
        predictions=predictions,
        steady=best,
        shown=shown,
        phases_ns=(ready.frame.capture_ns, ready.preprocess_ns, invoked.invoke_ns, answered - start),
        answered_ns=answered,
        dropped=invoked.dropped,
        looking=invoked.looking,
    )
