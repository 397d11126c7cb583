import http.client
import json
import threading
from typing import Any

import cv2
import numpy as np
import pytest

from edgecnn.device.frames import Answer, Frame
from edgecnn.device.web import connection, encode, feed
from edgecnn.inference import Prediction
from edgecnn.preprocess import Pixels


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The quality of every picture that was encoded."""
    qualities: list[int] = []
    jpeg = encode.jpeg

    def count(image: Pixels, *, quality: int) -> bytes:
        qualities.append(quality)
        return jpeg(image, quality=quality)

    monkeypatch.setattr(encode, "jpeg", count)
    monkeypatch.setattr(feed, "jpeg", count)
    return qualities


def pictures_to_the_end(viewer: Any) -> int:
    number = 0
    try:
        while number < 1000:
            viewer.picture()
            number += 1
    except (OSError, AssertionError, http.client.IncompleteRead):
        return number
    raise AssertionError("no end")


def test_nothing_is_encoded_while_nobody_watches(serve: Any, encoded: list[int]) -> None:
    with serve() as demo:
        demo.wait_for_answers(50)
        assert demo.ask("/")[0] == 200
        assert not encoded


def test_five_viewers_see_frames_in_order_and_each_is_encoded_once(
    serve: Any, view_of: Any, number_of: Any, encoded: list[int]
) -> None:
    seen: list[list[int]] = []

    def watch(demo: Any) -> None:
        with view_of(demo, "/live.mjpeg") as viewer:
            seen.append([number_of(viewer.picture()) for _ in range(12)])

    with serve() as demo:
        threads = [threading.Thread(target=watch, args=(demo,)) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert demo.shown > 12
    assert len(seen) == 5
    for numbers in seen:
        assert numbers == sorted(set(numbers))
    assert len({number for numbers in seen for number in numbers}) <= len(encoded) < 5 * 12


@pytest.mark.native("how far a viewer lags is a matter of time")
def test_a_slow_viewer_skips_and_does_not_lag(serve: Any, view_of: Any, number_of: Any, endless: Any) -> None:
    camera = endless(480, 640, noise=True)
    with serve(camera=camera, pace=100.0) as demo, view_of(demo, "/live.mjpeg", receive_buffer=16384) as viewer:
        before = number_of(viewer.picture())
        demo.wait_for_answers(100)
        after = [number_of(viewer.picture()) for _ in range(4)]  # the first ones were on their way
        assert after == sorted(set(after))
        assert after[-1] - before >= 100
        assert demo.shown - after[-1] < 60


@pytest.mark.lengthy
def test_viewers_who_never_read_do_not_slow_the_loop_and_are_dropped(
    serve: Any, view_of: Any, endless: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "SILENT_S", 0.5)
    with serve(camera=endless(480, 640, noise=True), pace=100.0) as demo:
        stuck = [view_of(demo, "/live.mjpeg", receive_buffer=4096) for _ in range(10)]
        demo.wait_for_answers(150)
        with view_of(demo, "/live.mjpeg") as reader:
            reader.picture()  # the others are served as before
        for viewer in stuck:
            with viewer:
                assert pictures_to_the_end(viewer) < 20  # what was on its way


def test_who_comes_while_it_is_paused_sees_the_last_frame_and_why(serve: Any, view_of: Any, number_of: Any) -> None:
    with serve() as demo:
        with view_of(demo, "/live.mjpeg") as early:
            early.picture()
        demo.wait_for_answers(20)
        assert demo.set({"paused": True}) == 204
        with view_of(demo, "/numbers") as watcher:
            document = watcher.numbers_until(lambda numbers: numbers["notice"] == "paused")
        assert document["paused"] is True
        with view_of(demo, "/live.mjpeg") as late:
            assert number_of(late.picture()) == document["frame"]
        assert demo.set({"paused": False}) == 204
        demo.wait_for_answers(5)


def test_a_picture_begun_for_who_has_left_is_not_shown_to_who_comes(
    serve: Any, view_of: Any, number_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    part, begun, may_end = feed.part, threading.Event(), threading.Event()

    def slowly(answer: Answer) -> bytes:
        begun.set()
        assert may_end.wait(timeout=30)
        return part(answer)

    monkeypatch.setattr(feed, "part", slowly)
    with serve() as demo:
        with view_of(demo, "/live.mjpeg"):
            assert begun.wait(timeout=30)
        for _ in range(1000):
            if not demo._feed.pictures.viewers:
                break
            demo.wait_for_answers(1)
        assert not demo._feed.pictures.viewers
        may_end.set()
        demo.wait_for_answers(20)
        assert demo.set({"paused": True}) == 204
        with view_of(demo, "/numbers") as watcher:
            document = watcher.numbers_until(lambda numbers: numbers["notice"] == "paused")
        with view_of(demo, "/live.mjpeg") as late:
            assert number_of(late.picture()) == document["frame"]
        assert demo.set({"paused": False}) == 204


def test_the_numbers(serve: Any, view_of: Any) -> None:
    with serve() as demo, view_of(demo, "/numbers") as viewer:
        assert viewer.stream.headers["content-type"] == "text/event-stream"
        numbers = viewer.numbers_until(lambda numbers: numbers["fps"] is not None)
        assert (numbers["size"], numbers["dropped"], numbers["notice"]) == ([48, 320], 0, None)
        assert numbers["shown"] == {"label": "0", "index": 0, "score": 1.0}
        assert [each["label"] for each in numbers["best"]] == ["0", "1"]
        assert list(numbers["phases_ms"]) == ["capture", "preprocess", "invoke", "postprocess"]
        assert numbers["phases_ms"]["capture"] == pytest.approx(0.001)
        assert 0 < numbers["fps"] < 1000
        assert numbers["age_ms"] > 0
        assert viewer.numbers_until(lambda later: later["frame"] > numbers["frame"])


def test_a_threshold_makes_answers_unknown_and_every_viewer_sees_it(serve: Any, view_of: Any) -> None:
    with serve(threshold=0.25) as demo, view_of(demo, "/numbers") as viewer, view_of(demo, "/numbers") as other:
        assert viewer.numbers_until(lambda numbers: numbers["shown"])["threshold"] == 0.25
        demo.controls.threshold = 2.0  # beyond what a viewer may set: nothing can reach it
        assert viewer.numbers_until(lambda numbers: numbers["shown"] is None)
        assert demo.set({"threshold": 0.5}) == 204
        assert other.numbers_until(lambda numbers: numbers["threshold"] == 0.5)


def test_where_the_network_looks_is_drawn_for_all_when_one_asks(
    serve: Any, view_of: Any, number_classifier: Any
) -> None:
    def blue(picture: bytes) -> float:
        image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        return float(image[20:, :, 0].mean())

    number_classifier.map_shape = None
    with serve() as demo:
        assert demo.set({"overlay": True}) == 400  # a file without class maps
    number_classifier.map_shape = 2, 2
    number_classifier.class_map = lambda index: np.ones((2, 2), np.float32)
    number_classifier.region = lambda frame: (0, 0, *frame.shape[:2])
    with serve() as demo, view_of(demo, "/live.mjpeg") as viewer, view_of(demo, "/numbers") as watcher:
        assert json.loads(demo.ask("/about.json")[2])["class_maps"] is True
        assert blue(viewer.picture()) == pytest.approx(60, abs=3)
        assert demo.set({"overlay": True}) == 204
        watcher.numbers_until(lambda numbers: numbers["overlay"])
        for _ in range(100):
            if blue(viewer.picture()) < 40:  # warm colours
                break
        else:
            raise AssertionError("nothing is drawn")
        assert cv2.imdecode(np.frombuffer(demo.ask("/snapshot.jpg")[2], np.uint8), cv2.IMREAD_COLOR)[20:].mean() > 50


def test_a_camera_that_is_lost_says_so(serve: Any, view_of: Any, endless: Any) -> None:
    found = threading.Event()

    class Lost(endless):  # type: ignore[misc]
        def read(self) -> Frame | None:
            if self._captured == 3:
                self.notice = "no picture; trying again in 4 s"
                found.wait(timeout=30)
                self.notice = None
            frame: Frame | None = super().read()
            return frame

    with serve(camera=Lost()) as demo, view_of(demo, "/numbers") as viewer:
        lost = viewer.numbers_until(lambda numbers: numbers["notice"])
        assert lost["notice"] == "no picture; trying again in 4 s"
        assert lost["fps"] is None
        found.set()
        assert viewer.numbers_until(lambda numbers: numbers["notice"] is None)


def test_a_score_that_is_no_number_is_null(serve: Any, view_of: Any, number_classifier: Any) -> None:
    number_classifier.scores = lambda: np.array([np.nan, 0.5], np.float32)
    number_classifier.predictions = lambda scores: tuple(
        Prediction(index=index, label=str(index), score=float("nan")) for index in range(len(scores))
    )
    with serve() as demo, view_of(demo, "/numbers") as viewer:
        numbers = viewer.numbers_until(lambda numbers: numbers["best"])
        assert [each["score"] for each in numbers["best"]] == [None, None]


def test_a_snapshot_is_the_whole_frame(serve: Any, endless: Any, number_of: Any, encoded: list[int]) -> None:
    with serve(camera=endless(1200, 1600)) as demo:
        demo.wait_for_answers(1)
        demo.set({"paused": True})
        status, headers, picture = demo.ask("/snapshot.jpg")
        again = demo.ask("/snapshot.jpg")[2]
    image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert (status, image.shape) == (200, (1200, 1600, 3))
    assert headers["content-type"] == "image/jpeg"
    assert headers["content-disposition"].endswith(f'"snapshot-{number_of(picture):06d}.jpg"')
    if again == picture:
        assert encoded == [encode.SNAPSHOT_QUALITY]


def test_a_large_frame_is_made_smaller_for_the_page(serve: Any, view_of: Any, endless: Any) -> None:
    with serve(camera=endless(1200, 1600), pace=20.0) as demo, view_of(demo, "/live.mjpeg") as viewer:
        image = cv2.imdecode(np.frombuffer(viewer.picture(), np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        assert image.shape == (720, 960, 3)


def test_before_the_first_frame(serve: Any, endless: Any) -> None:
    come = threading.Event()

    class Late(endless):  # type: ignore[misc]
        def read(self) -> Frame | None:
            come.wait(timeout=30)
            frame: Frame | None = super().read()
            return frame

    with serve(camera=Late()) as demo:
        assert demo.ask("/snapshot.jpg")[0] == 503
        assert demo.ask("/")[0] == 200
        come.set()


def test_the_end_is_told_to_who_watches(serve: Any, view_of: Any, endless: Any) -> None:
    with serve(camera=endless(ends_after=60), pace=100.0) as demo:
        watcher, viewer = view_of(demo, "/numbers"), view_of(demo, "/live.mjpeg")
        watcher.numbers()
        viewer.picture()
    with watcher, viewer:
        assert watcher.numbers_until(lambda numbers: "end" in numbers)
        pictures_to_the_end(viewer)
    assert demo.summary.frames <= 60
