import os
import shutil
import socket
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgecnn.device import Answer, Frame
from edgecnn.device.service import unit, user_unit
from edgecnn.device.views import NoView
from edgecnn.device.watchdog import Watched
from edgecnn.errors import UsageError

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs the package systemd")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """In a folder that everybody may read."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    path = tmp_path / "my 100% model.tflite"
    path.write_bytes(b"a model")
    path.chmod(0o644)
    return path


@pytest.fixture
def python(model: Path) -> Path:
    """A Python that everybody may run."""
    path = model.with_name("python3")
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def line(text: str, name: str) -> str:
    return next(each for each in text.splitlines() if each.startswith(f"{name}="))


@pytest.mark.systemd
@needs_systemd
@pytest.mark.parametrize("view", ["web", "none"])
def test_systemd_takes_the_unit_and_finds_it_little_exposed(
    model: Path, python: Path, tmp_path: Path, view: str
) -> None:
    path = tmp_path / "edgecnn.service"
    path.write_text(unit(model, ["--camera", "0", "--roi", '$x %h "q" \\n'], view=view, python=python).text)
    verified = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=20", path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert rated.returncode == 0, rated.stdout


def test_the_command_is_that_of_an_installation(model: Path, python: Path) -> None:
    text = unit(model, ["--camera", "0"], python=python).text
    command = f'ExecStart="{python}" "-m" "edgecnn" "demo" "{str(model).replace("%", "%%")}" "--camera" "0"'
    assert line(text, "ExecStart") == command
    assert "Description=edgecnn: my 100%% model.tflite, live" in text


def test_only_who_needs_a_network_has_one(model: Path, python: Path) -> None:
    for asked in ({}, {"view": "web"}, {"view": "none", "camera": "rtsp://camera/"}):
        assert "AF_INET" in line(unit(model, [], python=python, **asked).text, "RestrictAddressFamilies")
    offline = unit(model, [], view="none", camera="0", python=python).text
    assert "AF_INET" not in offline
    assert line(offline, "PrivateNetwork") == "PrivateNetwork=yes"


def test_a_model_that_the_services_user_could_not_read(model: Path, python: Path) -> None:
    closed = model.parent / "mine"
    closed.mkdir(mode=0o700)
    shutil.copy(model, closed)
    with pytest.raises(UsageError, match="may not read") as caught:
        unit(closed / model.name, [], python=python)
    assert str(closed) in str(caught.value.received)
    assert "/opt/edgecnn" in caught.value.remedy
    assert "pip install ." in caught.value.remedy


@pytest.mark.parametrize("view", ["window", "terminal"])
def test_a_view_that_a_service_cannot_have(model: Path, python: Path, view: str) -> None:
    with pytest.raises(UsageError, match=f"no {view}") as caught:
        unit(model, ["--view", view], view=view, python=python)
    assert "--view web" in caught.value.remedy
    with pytest.raises(UsageError, match=f"no {view}"):
        user_unit(model, ["--view", view], state=model.parent, view=view, python=python)


def test_a_password_is_for_nobody_else_to_read(model: Path, python: Path) -> None:
    camera = "rtsp://user:secret@camera/"
    closed = unit(model, ["--camera", camera], camera=camera, python=python)
    assert (closed.mode, closed.secret) == (0o600, True)
    assert "install -m 600 " in closed.text
    open_to_all = unit(model, ["--camera", "rtsp://camera/"], camera="rtsp://camera/", python=python)
    assert (open_to_all.mode, open_to_all.secret) == (0o644, False)
    assert "install -m 644 " in open_to_all.text
    mine = user_unit(model, ["--camera", camera], state=model.parent, camera=camera, python=python)
    assert (mine.secret, "install -D -m 600 " in mine.text) == (True, True)


def test_a_virtual_environment_that_leads_to_a_closed_folder(model: Path, python: Path) -> None:
    closed = model.parent / "mine"
    closed.mkdir(mode=0o700)
    (model.parent / "linked").symlink_to(python.rename(closed / "python3"))
    with pytest.raises(UsageError) as caught:
        unit(model, [], python=model.parent / "linked")
    assert str(closed) in str(caught.value.received)


def answer() -> Answer:
    image = np.zeros((4, 4, 3), np.uint8)
    frame = Frame(number=0, image=image, captured_ns=0, capture_ns=0)
    return Answer(frame=frame, predictions=(), steady=(), shown=None, phases_ns=(0, 0, 0, 0), answered_ns=0, dropped=0)


def test_systemd_is_told_while_there_are_answers_or_a_reason_for_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with Watched(NoView()) as view:
            view.idle(None)
            with pytest.raises(BlockingIOError):
                systemd.recv(1000)  # a loop that hangs
            view.show(answer())
            assert systemd.recv(1000) == b"READY=1\nWATCHDOG=1\nSTATUS=unknown"
            view.show(answer())
            with pytest.raises(BlockingIOError):
                systemd.recv(1000)  # once a second is enough
        with Watched(NoView()) as view:
            view.idle("no picture;\ntrying again in 4 s")
            assert systemd.recv(1000) == b"READY=1\nWATCHDOG=1\nSTATUS=no picture; trying again in 4 s"


def test_without_systemd_nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    with Watched(NoView()) as view:
        view.show(answer())


@pytest.mark.systemd
@needs_systemd
def test_systemd_takes_the_unit_of_a_user(model: Path, python: Path, tmp_path: Path) -> None:
    path = tmp_path / "edgecnn.service"
    path.write_text(user_unit(model, ["--roi", '$x %h "q"'], state=tmp_path, python=python).text)
    verified = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    assert line(path.read_text(), "ExecStart").endswith('/my 100%% model.tflite" "--roi" "$$x %%h \\"q\\""')
