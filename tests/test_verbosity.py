"""``--quiet``, ``--verbose``, and colour: what goes to stderr beside results and errors."""

import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from edgecnn import console
from edgecnn.cli import main
from edgecnn.console import bar
from edgecnn.silence import silenced
from tests.test_cli import run


@pytest.mark.lengthy
def test_options_stand_before_a_command_or_after_it(foreign_path: Path, tmp_path: Path) -> None:
    picture = tmp_path / "times.png"
    command = ("bench", foreign_path, "--runs", 2, "--plot", picture)
    loud, *quiet = run(*command), run("-q", *command), run(*command, "--quiet")
    assert "The distribution is" in loud.stderr
    for result in quiet:
        assert result.exit_code == 0
        assert result.stderr == ""
        assert "p50" in result.stdout
    assert "The distribution is" in run(*command).stderr  # the next command is told as before


def test_quiet_keeps_errors(tmp_path: Path) -> None:
    refusal = run("show", tmp_path / "gone.tflite", "--quiet")
    assert refusal.exit_code == 2
    assert "The model cannot be read." in refusal.stderr


@pytest.mark.lengthy
def test_verbose_shows_what_native_code_prints(bundle_path: Path) -> None:
    command = [sys.executable, "-m", "edgecnn", "show", bundle_path]
    loud, usual = (
        subprocess.run([*command, *more], capture_output=True, text=True, check=True) for more in (["--verbose"], [])
    )
    assert "XNNPACK delegate" in loud.stderr
    assert usual.stderr == ""
    assert loud.stdout == usual.stdout


def test_what_was_caught_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="edgecnn"), silenced():
        os.write(2, b"from below\n")
    assert caplog.messages == ["from below"]


def test_every_command_takes_both_but_those_that_say_nothing() -> None:
    device = main.commands["device"]
    assert isinstance(device, click.Group)
    for name, command in (main.commands | device.commands).items():
        options = {option for parameter in command.params for option in parameter.opts}
        assert ({"--quiet", "--verbose", "-q", "-v"} <= options) == (name not in ("service", "completion")), name


@pytest.mark.native("starts a program of the host that is a terminal")
def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch, bundle_path: Path) -> None:
    command = f"{sys.executable} -m edgecnn show {bundle_path.with_name('gone.tflite')}"

    def on_a_terminal(**variables: str) -> str:
        environment = {**os.environ, "TERM": "xterm-256color", **variables}
        typed = ["script", "-qec", command, "/dev/null"]
        return subprocess.run(typed, capture_output=True, text=True, check=False, env=environment).stdout

    monkeypatch.delenv("NO_COLOR", raising=False)
    colour = re.compile(r"\x1b\[[0-9;]*3[0-9]")
    assert colour.search(on_a_terminal())
    assert not colour.search(on_a_terminal(NO_COLOR="1"))
    piped = subprocess.run(command.split(), capture_output=True, text=True, check=False)
    assert "\x1b" not in piped.stderr


def test_a_line_of_progress_says_what_is_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bar, "_LINE_EVERY_S", 0.0)
    with console.progress() as progress:
        for done in range(1, 5):
            progress.update(done, 10, "explaining")
    assert re.search(r"explaining \(40 %, \d+:\d\d left\)", capsys.readouterr().err)
