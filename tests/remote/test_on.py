"""Commands on another computer: a real sshd on loopback, whose login shell runs this machine's Python."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from edgecnn.errors import DeviceError
from edgecnn.progress import Silent
from edgecnn.remote import RemoteBoard
from edgecnn.shapes import CLASSES, render
from tests.remote.conftest import SSHD, Pi, command, on

pytestmark = pytest.mark.sshd
SOON_S = 60


def wait(condition: object, popen: "subprocess.Popen[str] | None" = None) -> None:
    end = time.monotonic() + SOON_S
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        assert popen is None or popen.poll() is None, popen.communicate()
        time.sleep(0.02)


def started(*words: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_first_use_sets_it_up_in_one_folder_and_the_second_finds_it(
    ready: Pi, bundle_path: Path, first_uses: "list[subprocess.CompletedProcess[str]]"
) -> None:
    (first,) = first_uses
    assert ("Setting pi up" in first.stderr, "cold start" in first.stdout) == (True, True)
    second = on(ready, "bench", bundle_path, "--runs", 5, "--json")
    document = json.loads(second.stdout)
    assert (document["model"], document["runs"][0]["n"], second.stderr) == (str(bundle_path), 5, "")
    assert ready.quiet()
    removed = subprocess.run([*command("device", "forget")[:-2], "pi"], capture_output=True, text=True, check=False)
    assert (removed.returncode, removed.stderr) == (0, "Removed ~/.edgecnn on pi.\n")
    assert not list(ready.home.iterdir())


@pytest.mark.slow
def test_two_at_once_are_one_after_the_other(pi: Pi, bundle_path: Path) -> None:
    both = [started("bench", bundle_path, "--runs", 2, "--json") for _ in range(2)]
    said = [each.communicate() for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    assert ["Somebody else is changing" in errors for _, errors in said].count(True) == 1
    assert len(list(pi.folder.glob("venv-*"))) == 1


def test_a_link_that_is_cut_while_it_is_set_up_leaves_nothing(pi: Pi, bundle_path: Path) -> None:
    running = started("bench", bundle_path, "--json")
    wait(lambda: list(pi.folder.glob("*.part")), running)
    pi.cut()
    printed, _ = running.communicate()
    error = json.loads(printed)["error"]
    assert (running.returncode, error["message"]) == (7, "The link to pi was cut.")
    wait(pi.quiet)
    assert not list(pi.folder.glob("venv-*"))


def test_a_link_that_is_cut_ends_what_ran_there(ready: Pi, bundle_path: Path) -> None:
    running = started("bench", bundle_path, "--runs", 10**9)
    wait(lambda: not ready.quiet(), running)
    ready.cut()
    running.communicate()
    assert running.returncode == 7
    wait(ready.quiet)
    assert on(ready, "bench", bundle_path, "--runs", 2).returncode == 0


@pytest.mark.slow
def test_whoever_dies_here_leaves_nothing_running_there(ready: Pi, bundle_path: Path) -> None:
    running = started("demo", bundle_path, "--camera", "synthetic", "--view", "none")
    wait(lambda: not ready.quiet(), running)
    running.kill()
    running.communicate()
    wait(ready.quiet)


def test_it_is_the_error_of_the_command_there(ready: Pi, bundle_path: Path) -> None:
    done = on(ready, "bench", bundle_path, "--target", "nothing", "--json")
    assert (done.returncode, json.loads(done.stdout)["error"]["received"]) == (2, "nothing")
    assert "There is no such target." in done.stderr


def test_several_files_and_a_picture(ready: Pi, bundle_path: Path, foreign_path: Path, tmp_path: Path) -> None:
    done = on(ready, "bench", bundle_path, foreign_path, "--runs", 2, "--json", "--plot", tmp_path / "times.png")
    assert f"The distribution is {tmp_path / 'times.png'}." in " ".join(done.stderr.split())
    rows = json.loads(done.stdout)["runs"]
    assert [row["model"] for row in rows] == [str(bundle_path), str(foreign_path)]
    assert (tmp_path / "times.png").read_bytes().startswith(b"\x89PNG")


def test_where_the_time_goes_there_and_its_picture(ready: Pi, bundle_path: Path, tmp_path: Path) -> None:
    done = on(ready, "bench", bundle_path, "--runs", 5, "--layers", "--roofline", tmp_path / "roof.png", "--json")
    assert json.loads(done.stdout)["layers"]["operators"], done.stderr
    assert (tmp_path / "roof.png").read_bytes().startswith(b"\x89PNG")


def test_a_file_that_is_none_is_said_before_the_other_computer_is_asked(pi: Pi, tmp_path: Path) -> None:
    (tmp_path / "no.tflite").write_bytes(b"no")
    assert on(pi, "bench", tmp_path / "no.tflite").returncode == 6
    assert not pi.folder.exists()


def test_an_accuracy_is_the_same_there(ready: Pi, bundle_path: Path, tmp_path: Path) -> None:
    import cv2

    for label, name in enumerate(CLASSES):
        (tmp_path / "my photos" / name).mkdir(parents=True)
        image = render(label, np.random.default_rng(label), (96, 96))
        cv2.imwrite(str(tmp_path / "my photos" / name / "a.png"), image[..., ::-1])
    (tmp_path / "my photos" / CLASSES[0] / "b.png").write_bytes(b"no image")
    words = ["evaluate", bundle_path, tmp_path / "my photos", "--json"]
    there = on(ready, *words)
    here = subprocess.run(command(*words)[:-2], capture_output=True, text=True, check=True)
    assert json.loads(there.stdout) == json.loads(here.stdout), there.stderr
    assert ready.quiet()


def test_a_demo_prints_here_and_leaves_its_files_here(ready: Pi, bundle_path: Path, tmp_path: Path) -> None:
    words = ["demo", bundle_path, "--camera", "synthetic", "--frames", 5]
    (tmp_path / "events").write_text("{}\n")
    done = on(ready, *words, "--json", "--events", tmp_path / "events", "--record", tmp_path / "a.mp4")
    assert json.loads(done.stdout)["frames"] == 5, done.stderr
    said = " ".join(done.stderr.split())
    assert f"The recording is {tmp_path / 'a.mp4'}. The events are in {tmp_path / 'events'}." in said
    assert len((tmp_path / "events").read_text().splitlines()) == 6  # added to what was there
    assert (tmp_path / "a.mp4").stat().st_size > 1000
    lines = on(ready, *words, "--events", "-").stdout.splitlines()
    assert len([json.loads(line) for line in lines]) == 5
    assert ready.quiet()


def test_ctrl_c_ends_a_demo_there(ready: Pi, bundle_path: Path) -> None:
    words = ["demo", bundle_path, "--camera", "synthetic", "--view", "none", "--events", "-"]
    running = started(*words)
    assert running.stdout is not None
    running.stdout.readline()
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=SOON_S)
    assert running.returncode == 0
    wait(ready.quiet)


def test_a_page_there_is_a_page_here(ready: Pi, bundle_path: Path, tmp_path: Path) -> None:
    """With a network of its own there, else both ends of the forwarded port were one port."""
    rights = "" if os.geteuid() == 0 else "--map-current-user --keep-caps"
    inside = (
        f"import fcntl, os, socket, struct; s = socket.socket(); "
        f"fcntl.ioctl(s, 0x8914, struct.pack('16sh14x', b'lo', 1)); "  # SIOCSIFFLAGS, IFF_UP
        f"os.execv('{SSHD}', ['{SSHD}', '-i', '-f', '{ready.config.parent / 'sshd_config'}'])"
    )
    (tmp_path / "apart").write_text(f'#!/bin/sh\nexec unshare {rights} --net {sys.executable} -c "{inside}"\n')
    (tmp_path / "apart").chmod(0o755)
    proxied = ready.config.read_text() + f"  ProxyCommand {tmp_path / 'apart'}\n"
    (tmp_path / "config").write_text(proxied)
    (tmp_path / "bin" / "ssh").write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F "{tmp_path / "config"}" "$@"\n')
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = started("demo", bundle_path, "--camera", "synthetic", "--listen", f"127.0.0.1:{port}")
    page = ""

    def shown() -> bool:
        nonlocal page
        with contextlib.suppress(OSError):
            page = urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read().decode()
        return bool(page)

    try:
        wait(shown, running)
    finally:
        running.send_signal(signal.SIGINT)
        said = running.communicate(timeout=SOON_S)
    assert "<title>" in page
    assert running.returncode in (0, 130), said  # the latter where its first frame was not there yet


@pytest.mark.slow
def test_images_there_have_a_line_or_an_answer_each(ready: Pi, bundle_path: Path, tmp_path: Path) -> None:
    import cv2

    folder = ready.home / "seen"
    folder.mkdir()
    for label in range(2):
        cv2.imwrite(str(folder / f"{label}.png"), render(label, np.random.default_rng(label), (96, 96)))
    lines = on(ready, "demo", bundle_path, "--camera", folder).stderr
    answers = json.loads(on(ready, "demo", bundle_path, "--camera", folder, "--json").stdout)["answers"]
    assert [Path(each["file"]).name for each in answers] == ["0.png", "1.png"]
    assert ("0.png: " in lines, "1.png: " in lines) == (True, True), lines


def test_a_board_measures_what_a_build_asks(ready: Pi, bundle_path: Path) -> None:
    board = RemoteBoard("pi", Silent())
    assert (board.facts()["on"], board.facts()["runtime"].split()[0]) == ("pi", "ai-edge-litert")
    told: list[tuple[int, int]] = []
    times = board.p50s_ms([bundle_path.read_bytes()] * 2, runs=20, on_run=lambda *done: told.append(done))
    assert (len(times), min(times) > 0, told) == (2, True, [(20, 20)])
    with pytest.raises(DeviceError) as caught:
        board.p50s_ms([b"no model"], runs=1)
    assert caught.value.message.startswith("pi cannot measure")
    assert ready.quiet()


@pytest.mark.slow
def test_a_build_is_timed_there(ready: Pi, tmp_path: Path) -> None:
    """Its budget and what its report says are of the board, and nothing of what is measured stays there."""
    words = ("build", "shapes", "--quick", "--max-p50", "1000ms", "--out", tmp_path / "out", "--json")
    done = on(ready, *words)
    report = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert report["board"]["on"] == "pi"
    assert report["board"]["runtime"].startswith("ai-edge-litert")
    assert report["pruning"][0]["p50_ms"] > 0
    gate = next(gate for gate in report["gates"] if gate["name"] == "p50_ms")
    assert gate["value"] == report["int8"]["p50_ms"]
    assert ready.quiet()
    assert "one thread, pi" in (tmp_path / "out" / "report.html").read_text()


def test_a_board_that_cannot_be_asked_is_said_before_the_build(pi: Pi, tmp_path: Path) -> None:
    done = subprocess.run(
        command("build", "shapes", "--quick", "--out", tmp_path / "out", "--json", host="pi -x"),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert json.loads(done.stdout)["error"]["message"] == "That is no host."
    assert not (tmp_path / "out").exists()
