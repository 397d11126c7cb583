import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.bundle import Bundle
from edgecnn.device import summary as summaries
from edgecnn.device.cameras import open_camera
from edgecnn.device.frames import Answer, Camera, Frame
from edgecnn.device.loop import FrameClassifier, run
from edgecnn.device.views import NoView, Run
from edgecnn.errors import DeviceError, UsageError
from edgecnn.inference import Classifier


class Recorder(NoView):
    """Keeps what it was shown; raises ``error`` on the answer number ``after``."""

    def __init__(self, error: type[BaseException] | None = None, after: int = 0) -> None:
        self.answers: list[Answer] = []
        self.began: Run | None = None
        self._error, self._after = error, after

    def begin(self, run: Run) -> None:
        self.began = run

    def show(self, answer: Answer) -> None:
        self.answers.append(answer)
        if self._error and len(self.answers) == self._after:
            raise self._error


class LiveCamera(Camera):
    """Frames without end, or up to ``ends_after``; ``fails`` says how it ends."""

    name, live = "live", True

    def __init__(self, ends_after: int | None = None, fails: bool = False) -> None:
        self.left_out: list[str] = []
        self.published = 0
        self.progress = threading.Condition()
        self._ends_after, self._fails = ends_after, fails
        self._captured = 0

    def read(self) -> Frame | None:
        with self.progress:
            self.published = self._captured  # who asks for the next frame has put away the one before
            self.progress.notify_all()
        if self._captured == self._ends_after:
            if self._fails:
                raise DeviceError("The camera stopped.", remedy="plug it in")
            return None
        image = np.full((4, 4, 3), self._captured % 30 * 8, np.uint8)
        self._captured += 1
        return Frame(number=self._captured - 1, image=image, captured_ns=0, capture_ns=1)

    def close(self) -> None:
        return None

    def wait_for(self, published: int) -> None:
        with self.progress:
            assert self.progress.wait_for(lambda: self.published >= published, timeout=30)


class SlowClassifier:
    """Answers, and meanwhile waits until the camera has put away ``behind`` more frames."""

    runtime, threads = "slow 1.0", 1

    def __init__(self, inner: FrameClassifier, camera: LiveCamera, behind: int = 5) -> None:
        self._inner, self._camera, self._behind = inner, camera, behind
        self.published: list[int] = []
        self.labels = inner.labels
        self.map_shape = inner.map_shape
        self.preprocess, self.scores, self.predictions = inner.preprocess, inner.scores, inner.predictions
        self.class_map, self.region = inner.class_map, inner.region

    def invoke(self, tensor: NDArray[Any]) -> None:
        self._inner.invoke(tensor)
        self._camera.wait_for(self._camera.published + self._behind)
        self.published.append(self._camera.published)


def capture_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name in ("capture", "invoke", "answer")]


def labels(answers: list[Answer]) -> list[int]:
    return [int(answer.predictions[0].label) for answer in answers]


@pytest.mark.parametrize("pace", [None, 500.0])
def test_every_frame_of_a_video_is_answered_once_in_order(
    number_video: Path, number_classifier: FrameClassifier, pace: float | None
) -> None:
    view = Recorder()
    with open_camera(str(number_video)) as camera:
        summary = run(camera, number_classifier, view=view, pace=pace)
    assert labels(view.answers) == list(range(30))
    assert [answer.frame.number for answer in view.answers] == list(range(30))
    assert (summary.frames, summary.dropped) == (30, 0)
    assert all(answer.dropped == 0 for answer in view.answers)
    assert view.began is not None
    assert (view.began.camera, view.began.runtime, view.began.threads) == ("numbers.avi", "arithmetic 1.0", 1)
    assert view.began.labels == number_classifier.labels
    assert summary.age is None


def test_it_stops_after_so_many_frames_and_reads_two_ahead_at_most(
    number_video: Path, number_classifier: FrameClassifier
) -> None:
    view = Recorder()
    with open_camera(str(number_video)) as camera:
        summary = run(camera, number_classifier, view=view, frames=7)
        following = camera.read()
    assert (summary.frames, summary.dropped, len(view.answers)) == (7, 0, 7)
    assert following is not None
    assert 7 <= following.number <= 9


def test_the_summary_of_a_folder(number_folder: Path, number_classifier: FrameClassifier) -> None:
    view = Recorder()
    with open_camera(str(number_folder)) as camera:
        summary = run(camera, number_classifier, view=view)
    document = summary.as_json()
    assert labels(view.answers) == [0, 1, 2, 3, 4]
    assert set(document) == {
        *("schema", "frames", "fps", "dropped", "phases", "runtime"),
        *("threads", "camera", "left_out", "truth", "age", "answers"),
    }
    assert (document["schema"], document["frames"], document["dropped"], document["truth"]) == (1, 5, 0, None)
    assert list(document["phases"]) == ["capture", "preprocess", "invoke", "postprocess"]
    assert all(list(phase) == ["p50_ms", "p90_ms", "p99_ms"] for phase in document["phases"].values())
    assert all(value >= 0 for phase in document["phases"].values() for value in phase.values())
    assert [line.partition(":")[0] for line in document["left_out"]] == ["a/1-cut.jpg", "notes.txt"]
    elapsed_s = (view.answers[-1].answered_ns - view.answers[0].answered_ns) / 1e9
    assert document["fps"] == pytest.approx(4 / elapsed_s, rel=1e-3)


@pytest.mark.parametrize("frames", [0, 1])
def test_what_was_not_measured_is_null(frames: int, number_video: Path, number_classifier: FrameClassifier) -> None:
    with open_camera(str(number_video)) as camera:
        document = run(camera, number_classifier, view=NoView(), frames=frames).as_json()
    assert (document["frames"], document["fps"]) == (frames, None)
    for phase in document["phases"].values():
        assert set(phase) == {"p50_ms", "p90_ms", "p99_ms"}
        assert (phase["p50_ms"] is None) == (frames == 0)


def test_the_statistics_are_those_of_the_last_frames(
    number_classifier: FrameClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summaries, "KEPT_FRAMES", 5)

    class Timed(LiveCamera):
        live = False

        def read(self) -> Frame | None:
            frame = super().read()
            return frame and Frame(
                number=frame.number, image=frame.image, captured_ns=0, capture_ns=frame.number * 10**6
            )

    summary = run(Timed(ends_after=23), number_classifier, view=NoView())
    capture = summary.phases["capture"]
    assert capture is not None
    assert (summary.frames, capture.n, capture.min_ms, capture.p50_ms) == (23, 5, 18.0, 20.0)


def test_a_live_camera_gives_the_latest_frame_and_the_rest_is_counted(number_classifier: FrameClassifier) -> None:
    camera = LiveCamera()
    classifier = SlowClassifier(number_classifier, camera)
    answers: list[Answer] = []
    summary = run(camera, classifier, view=NoView(), frames=10, consumers=[answers.append])
    numbers = [answer.frame.number for answer in answers]
    assert summary.frames == len(numbers) == 10
    for answer, following, published in zip(numbers, numbers[1:], classifier.published, strict=False):
        assert following >= published - 1 > answer  # at least the newest frame that was there when we looked
    camera.read()  # counts the last one
    assert camera.published - 1 <= summary.frames + summary.dropped <= camera.published  # one may be in its making
    assert answers[-1].dropped == numbers[-1] + 1 - 10
    assert labels(answers) == [number % 30 for number in numbers]
    assert not capture_threads()


def test_a_live_camera_that_ends(number_classifier: FrameClassifier) -> None:
    camera, view = LiveCamera(ends_after=40), Recorder()
    summary = run(camera, SlowClassifier(number_classifier, camera, behind=0), view=view)
    assert view.answers[-1].frame.number == 39
    assert summary.age is not None
    assert summary.frames + summary.dropped == 40
    assert not capture_threads()


def test_a_live_camera_that_stops_delivering(number_classifier: FrameClassifier) -> None:
    with pytest.raises(DeviceError, match="The camera stopped"):
        run(LiveCamera(ends_after=3, fails=True), number_classifier, view=NoView())
    assert not capture_threads()


@pytest.mark.parametrize("make", [LiveCamera, lambda: open_camera("synthetic")])
def test_ctrl_c_is_a_normal_end(make: Callable[[], Camera], number_classifier: FrameClassifier) -> None:
    view = Recorder(KeyboardInterrupt, after=3)
    with make() as camera:
        summary = run(camera, number_classifier, view=view)
    assert len(view.answers) == 3
    assert summary.frames >= 3
    assert summary.phases["invoke"] is not None
    assert not capture_threads()


def test_a_frame_of_a_file_that_the_end_found_unanswered_is_not_dropped(
    number_video: Path, number_classifier: FrameClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(tensor: NDArray[Any]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(number_classifier, "invoke", interrupt)
    with open_camera(str(number_video)) as camera:
        summary = run(camera, number_classifier, view=NoView())
    assert (summary.frames, summary.dropped) == (0, 0)


def test_the_truth_is_held_against_the_answers(number_classifier: FrameClassifier) -> None:
    class Knowing(LiveCamera):
        live = False

        def read(self) -> Frame | None:
            frame = super().read()
            truth = ("0", "7", None, "3", "no class of the model's")[frame.number] if frame else None
            return frame and Frame(number=frame.number, image=frame.image, captured_ns=0, capture_ns=1, truth=truth)

    summary = run(Knowing(ends_after=5), number_classifier, view=NoView())
    assert summary.as_json()["truth"] == {"accuracy": 2 / 3, "shown": 2 / 3, "n": 3}


def test_a_view_pauses_sets_the_threshold_hears_why_nothing_comes_and_ends_the_run(
    number_classifier: FrameClassifier,
) -> None:
    class Viewer(Recorder):
        def __init__(self) -> None:
            super().__init__()
            self.heard: list[str | None] = []

        def show(self, answer: Answer) -> None:
            super().show(answer)
            assert self.began is not None
            if len(self.answers) == 1:
                self.began.controls.paused = True
            if answer.shown is None:
                self.began.controls.stop = True

        def idle(self, notice: str | None) -> None:
            assert self.began is not None
            self.heard.append(notice)
            if notice == "paused":
                self.began.controls.threshold = 1.5
                self.began.controls.paused = False

    view = Viewer()
    summary = run(LiveCamera(), number_classifier, view=view, threshold=0.5)
    assert "paused" in view.heard
    assert view.answers[0].shown is not None
    assert view.answers[-1].shown is None
    assert summary.frames >= len(view.answers)
    assert not capture_threads()


@pytest.mark.parametrize("overlay", [True, False])
def test_it_says_where_the_network_looks_when_asked(
    number_video: Path, number_classifier: FrameClassifier, overlay: bool
) -> None:
    view = Recorder()
    with open_camera(str(number_video)) as camera:
        run(camera, number_classifier, view=view, frames=3, overlay=overlay)
    assert view.began is not None
    assert view.began.class_maps
    for answer in view.answers:
        assert (answer.looking is not None) == overlay
        if answer.looking:
            assert answer.looking.map.tolist() == [[1, 0], [0, 0]]
            assert answer.looking.region == (0, 0, 48, 64)


def test_a_file_without_class_maps_says_nothing_of_that(number_video: Path, number_classifier: FrameClassifier) -> None:
    number_classifier.map_shape = None
    view = Recorder()
    with open_camera(str(number_video)) as camera:
        run(camera, number_classifier, view=view, frames=1, overlay=True)
    assert view.began is not None
    assert not view.began.class_maps
    assert view.answers[0].looking is None


def test_a_camera_that_is_silent_says_why(number_classifier: FrameClassifier) -> None:
    told = threading.Event()

    class Silent(LiveCamera):
        notice = "trying again in 4 s"

        def read(self) -> Frame | None:
            assert told.wait(timeout=30)
            return None

    class Listening(NoView):
        def idle(self, notice: str | None) -> None:
            assert notice == "trying again in 4 s"
            told.set()

    assert run(Silent(), number_classifier, view=Listening()).frames == 0


def test_what_the_reading_of_answers_raises_comes_out(number_classifier: FrameClassifier) -> None:
    def full(answer: Answer) -> None:
        raise DeviceError("The disk is full.", remedy="free some")

    with pytest.raises(DeviceError, match="disk is full"):
        run(LiveCamera(), number_classifier, view=NoView(), consumers=[full])
    assert not capture_threads()


@pytest.mark.parametrize("pace", [0.0, -1.0, float("nan")])
def test_a_pace_that_is_none(pace: float, number_classifier: FrameClassifier) -> None:
    with pytest.raises(UsageError, match="pace"):
        run(LiveCamera(), number_classifier, view=NoView(), pace=pace)


def test_a_bundle_over_the_scene(bundle_path: Path) -> None:
    view = Recorder()
    with open_camera("synthetic") as camera, Classifier(Bundle.read(bundle_path), threads=1) as classifier:
        summary = run(camera, classifier, view=view, frames=5)
        for answer in view.answers:
            assert answer.predictions == classifier(answer.frame.image)
    document = summary.as_json()
    assert (document["frames"], document["dropped"], document["camera"]) == (5, 0, "synthetic")
    assert document["truth"]["n"] == 5
    assert document["runtime"] == classifier.runtime
    assert document["phases"]["invoke"]["p50_ms"] > 0


class Patient(Recorder):
    """Stops the run once it was told why nothing comes."""

    def __init__(self) -> None:
        super().__init__()
        self.notices: list[str] = []

    def idle(self, notice: str | None) -> None:
        if notice is not None and self.began is not None:
            self.notices.append(notice)
            self.began.controls.stop = len(self.notices) == 2


@pytest.mark.parametrize("stays", [True, False])
def test_a_view_that_stays_is_told_that_the_camera_has_ended(
    stays: bool, number_video: Path, number_classifier: Any
) -> None:
    view, ended = Patient(), []
    with open_camera(str(number_video)) as camera:
        on_end = (lambda: ended.append(len(view.answers))) if stays else None
        summary = run(camera, number_classifier, view=view, on_end=on_end)
    assert summary.frames == len(view.answers) == 30
    assert ended == ([30] if stays else [])
    assert view.notices == (["numbers.avi has ended"] * 2 if stays else [])
