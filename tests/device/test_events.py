import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from edgecnn.device.cameras import open_camera
from edgecnn.device.events import event, events_to
from edgecnn.device.frames import Answer
from edgecnn.device.loop import FrameClassifier, Summary, run
from edgecnn.device.views import NoView
from edgecnn.errors import DeviceError, UsageError


def demo(folder: Path, classifier: FrameClassifier, target: str) -> Summary:
    with open_camera(str(folder)) as camera, events_to(target) as write:
        return run(camera, classifier, view=NoView(), consumers=[write])


def check(lines: list[str]) -> None:
    events = [json.loads(line) for line in lines]
    assert [list(event) for event in events] == [["number", "time", "source", "shown", "predictions"]] * 5
    assert [event["number"] for event in events] == [0, 1, 2, 3, 4]
    assert [event["source"] for event in events] == ["a/0.png", "a/1.png", "a/2.png", "b/3.png", "b/4.png"]
    assert [event["predictions"][0] for event in events] == [
        {"label": str(number), "score": 1.0, "index": number} for number in range(5)
    ]
    times = [datetime.fromisoformat(event["time"]) for event in events]
    assert times == sorted(times)
    assert times[0].tzinfo == timezone.utc


def test_a_line_per_frame_in_a_file(number_folder: Path, number_classifier: FrameClassifier, tmp_path: Path) -> None:
    target = tmp_path / "answers.jsonl"
    target.write_text("from another run\n")
    summary = demo(number_folder, number_classifier, str(target))
    before, *lines = target.read_text().splitlines()
    assert before == "from another run"  # nothing is lost
    check(lines)
    assert summary.frames == 5


def test_a_line_per_frame_on_stdout(
    number_folder: Path, number_classifier: FrameClassifier, capfd: pytest.CaptureFixture[str]
) -> None:
    demo(number_folder, number_classifier, "-")
    check(capfd.readouterr().out.splitlines())


def test_stdout_may_be_replaced(
    number_folder: Path, number_classifier: FrameClassifier, capsys: pytest.CaptureFixture[str]
) -> None:
    demo(number_folder, number_classifier, "-")
    check(capsys.readouterr().out.splitlines())


def test_a_line_is_there_as_soon_as_it_is_written(number_folder: Path, number_classifier: FrameClassifier) -> None:
    reader, writer = os.pipe()
    lines = os.fdopen(reader, "rb", buffering=0)
    seen: list[int] = []

    class Reading(NoView):
        def show(self, answer: Answer) -> None:
            seen.append(json.loads(lines.readline())["number"])

    try:
        with open_camera(str(number_folder)) as camera, events_to(f"/dev/fd/{writer}") as write:
            run(camera, number_classifier, view=Reading(), consumers=[write])
    finally:
        lines.close()
        os.close(writer)
    assert seen == [0, 1, 2, 3, 4]


def test_a_reader_that_goes_away_ends_the_demo(number_folder: Path, number_classifier: FrameClassifier) -> None:
    reader, writer = os.pipe()
    with open_camera(str(number_folder)) as camera, events_to(f"/dev/fd/{writer}") as write:
        os.close(reader)
        summary = run(camera, number_classifier, view=NoView(), consumers=[write])
    os.close(writer)
    assert (summary.frames, summary.dropped) == (1, 0)


@pytest.mark.lengthy
def test_a_pipe_into_head_leaves_no_trace(number_video: Path) -> None:
    program = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from conftest import NumberClassifier
from edgecnn.device import VIEWS, events_to, open_camera, run
with open_camera({str(number_video)!r}) as camera, VIEWS["none"]() as view, events_to("-") as write:
    summary = run(camera, NumberClassifier(), view=view, pace=100, consumers=[write])
sys.exit(0 if 2 <= summary.frames < 30 else 9)
"""
    demo = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    head = subprocess.run(["head", "-n", "2"], stdin=demo.stdout, capture_output=True, text=True, check=True)
    assert demo.stdout is not None
    demo.stdout.close()
    assert demo.communicate()[1] == b""
    assert demo.returncode == 0
    assert [json.loads(line)["number"] for line in head.stdout.splitlines()] == [0, 1]


def test_a_full_disk(number_folder: Path, number_classifier: FrameClassifier) -> None:
    with pytest.raises(DeviceError, match="cannot be written to /dev/full") as caught:
        demo(number_folder, number_classifier, "/dev/full")
    assert caught.value.received == "No space left on device"
    assert caught.value.exit_code == 7


@pytest.mark.parametrize("target", ["no/such/folder/x.jsonl", "."])
def test_a_file_that_cannot_be_opened(target: str) -> None:
    with pytest.raises(UsageError, match="cannot be written"), events_to(target):
        pass


def test_a_score_that_is_no_number_is_null(number_folder: Path, number_classifier: FrameClassifier) -> None:
    answers: list[Answer] = []
    with open_camera(str(number_folder)) as camera:
        run(camera, number_classifier, view=NoView(), frames=1, consumers=[answers.append])
    strange = replace(answers[0].predictions[0], score=float("nan"), label='zéro "0"')
    line = json.dumps(event(replace(answers[0], predictions=(strange,))), allow_nan=False)
    assert json.loads(line)["predictions"] == [{"label": 'zéro "0"', "score": None, "index": 0}]
