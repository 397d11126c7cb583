import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from edgecnn.device.frames import Answer, Frame
from edgecnn.device.terminal import TerminalView
from edgecnn.device.views import Controls, Run
from edgecnn.inference import Prediction

RUN = Run(camera="synthetic", runtime="ai-edge-litert 2.1", threads=2, labels=("circle", "[red]"), controls=Controls())


def answer(number: int = 0, label: str = "circle", score: float = 0.75, known: bool = True) -> Answer:
    image = np.zeros((4, 4, 3), np.uint8)
    best = Prediction(index=0, label=label, score=score)
    return Answer(
        frame=Frame(number=number, image=image, captured_ns=0, capture_ns=10**6),
        predictions=(),
        steady=(best, Prediction(index=1, label="[red]", score=0.25)),
        shown=best if known else None,
        phases_ns=(10**6, 2 * 10**6, 3 * 10**6, 10**5),
        answered_ns=10**9 * (number + 1),
        dropped=4,
    )


def screen(*answers: Answer, width: int = 80, terminal: bool = False) -> str:
    output = io.StringIO()
    with TerminalView(Console(file=output, width=width, force_terminal=terminal)) as view:
        view.begin(RUN)
        for each in answers:
            view.show(each)
    return output.getvalue()


def test_it_shows_labels_as_they_are_speed_phases_and_where_they_come_from() -> None:
    text = screen(answer())
    for part in ("circle", "0.750", "[red]", "0.250", "FPS", "dropped 4", "synthetic", "ai-edge-litert 2.1, 2 threads"):
        assert part in text
    for part in ("capture 1.00", "preprocess 2.00", "invoke 3.00", "postprocess 0.10"):
        assert part in text
    assert text.count("█") == 34


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("label", ["circle", "a label that is far too long for a line " * 4])
def test_it_fits(width: int, label: str) -> None:
    lines = screen(answer(label=label), width=width).splitlines()
    assert lines
    assert max(map(len, lines)) <= min(width, 80)
    assert len(lines) == 11


@pytest.mark.parametrize(("threshold", "said"), [(0.0, "no threshold"), (0.35, "unknown below 0.35")])
def test_it_shows_the_threshold_that_is_in_force(threshold: float, said: str) -> None:
    output = io.StringIO()
    with TerminalView(Console(file=output, width=80)) as view:
        view.begin(replace(RUN, controls=Controls(threshold=threshold)))
        view.show(answer(number=99_999))
    assert said in output.getvalue()


def test_the_last_answer_stays_and_the_cursor_comes_back() -> None:
    text = screen(answer(0), answer(1), answer(2), terminal=True)
    assert "\x1b[?25l" in text  # hidden
    assert "frame 2" in text
    assert text.rindex("\x1b[?25h") > text.rindex("frame 2")  # shown


def test_the_cursor_comes_back_after_an_error() -> None:
    output = io.StringIO()

    def interrupted() -> None:
        with TerminalView(Console(file=output, force_terminal=True)) as view:
            view.show(answer())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert output.getvalue().rindex("\x1b[?25h") > output.getvalue().rindex("circle")


def test_it_draws_seldom() -> None:
    text = screen(*(answer(number) for number in range(1000)), terminal=True)
    assert text.count("FPS") < 1000
    assert "frame 999" in text


@pytest.mark.parametrize("score", [float("nan"), -3.0, 7.5])
def test_a_score_that_is_no_share(score: float) -> None:
    assert "circle" in screen(answer(score=score))


def test_nothing_to_show() -> None:
    assert not screen().strip()


def test_what_is_unknown_is_called_so() -> None:
    assert "unknown" not in screen(answer())
    assert "unknown" in screen(answer(known=False))


def test_why_nothing_comes_is_said_and_the_last_answer_stays() -> None:
    output = io.StringIO()
    with TerminalView(Console(file=output, width=80, force_terminal=True)) as view:
        view.begin(RUN)
        view.idle("no picture; trying again in 4 s")
        assert "trying again in 4 s" in output.getvalue()
        view.show(answer())
        view.idle("paused")
    last = output.getvalue()[output.getvalue().rindex("paused") :]
    assert "0.750" in last
