"""A bundle as a service of another computer; systemd there is a stand-in, for a container has none that runs."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgecnn.bundle import Bundle
from edgecnn.errors import DeviceError
from edgecnn.remote import deploy, forget
from tests.conftest import Quiet
from tests.remote.conftest import Pi

pytestmark = pytest.mark.sshd
SYSTEMCTL = """echo "$@" >> "$HOME/said"
test ! -e "$HOME/slow" || test "$2" != show-environment || sleep 3
case "$2" in restart) grep ^ExecStart "$HOME/.config/systemd/user/edgecnn.service" > "$HOME/running"
    test ! -e "$HOME/broken" || { echo "Job for edgecnn.service failed" >&2; rm "$HOME/broken"; exit 1; };; esac"""


@pytest.fixture
def board(ready: Pi) -> Pi:
    ready.program("systemctl", SYSTEMCTL)
    ready.program("loginctl", "exit 0")
    return ready


def runs(pi: Pi) -> str:
    return (pi.home / "running").read_text()


def kept(pi: Pi) -> set[str]:
    """The names of what was deployed."""
    return {path.name for path in (pi.folder / "deploy").iterdir()} - {"current", "files"}


def test_it_is_installed_switched_and_kept(board: Pi, bundle_path: Path, tmp_path: Path) -> None:
    done = deploy("pi", bundle_path, ["--camera", "0"], progress=Quiet())
    release = Path(done["release"])
    assert (release / "tiny.tflite").read_bytes() == bundle_path.read_bytes()
    assert (done["previous"], done["at_boot"]) == (None, True)
    assert f'"{release}/tiny.tflite" "--camera" "0"' in runs(board)
    said = (board.home / "said").read_text().splitlines()
    assert said[-3:] == [
        f"--user {each}" for each in ("daemon-reload", "enable edgecnn.service", "restart edgecnn.service")
    ]
    again = deploy("pi", bundle_path, ["--camera", "1"], progress=Quiet())
    assert again["previous"] == done["release"]
    third = deploy("pi", bundle_path, [], progress=Quiet())
    assert kept(board) == {Path(third["release"]).name, Path(again["release"]).name}
    assert (board.folder / "deploy" / "files").is_dir()
    assert "/deploy/files\n" in (board.folder / "deploy" / "current" / "edgecnn.service").read_text()
    assert forget("pi")
    assert not list(board.home.glob(".config/systemd/user/*"))
    assert not board.folder.exists()


def test_one_that_does_not_start_gives_way_to_what_ran(board: Pi, bundle_path: Path) -> None:
    done = deploy("pi", bundle_path, ["--camera", "0"], progress=Quiet())
    (board.home / "broken").touch()
    with pytest.raises(DeviceError, match="what ran before runs again") as caught:
        deploy("pi", bundle_path, ["--camera", "1"], progress=Quiet())
    assert caught.value.received == "Job for edgecnn.service failed"
    assert '"--camera" "0"' in runs(board)
    assert kept(board) == {Path(done["release"]).name}


def cut_in_a_deploy(board: Pi, bundle_path: Path) -> None:
    """While systemd, which is slow here, starts what was installed."""
    (board.home / "slow").touch()
    (board.home / "said").unlink()
    program = "import sys; from edgecnn.cli import main; main()"
    words = [sys.executable, "-c", program, "deploy", bundle_path, "pi", "--camera", "1"]
    running = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    while not (board.home / "said").exists():
        assert running.poll() is None
        time.sleep(0.02)
    board.cut()
    _, said = running.communicate()
    assert (running.returncode, "The link to pi was cut." in said) == (7, True)


@pytest.mark.slow
def test_a_link_that_is_cut_leaves_what_ran(board: Pi, bundle_path: Path) -> None:
    done = deploy("pi", bundle_path, ["--camera", "0"], progress=Quiet())
    cut_in_a_deploy(board, bundle_path)
    time.sleep(5)
    assert board.quiet()
    assert (board.folder / "deploy" / "current").readlink() == Path(done["release"])
    assert '"--camera" "0"' in runs(board)
    assert kept(board) == {Path(done["release"]).name}


@pytest.mark.slow
def test_what_is_forgotten_waits_for_the_end_of_a_deploy_that_was_cut(board: Pi, bundle_path: Path) -> None:
    deploy("pi", bundle_path, ["--camera", "0"], progress=Quiet())
    cut_in_a_deploy(board, bundle_path)
    assert forget("pi")
    time.sleep(5)
    assert not board.folder.exists()


def test_without_systemd_nothing_is_changed(board: Pi, bundle_path: Path) -> None:
    board.program("systemctl", "echo Failed to connect to bus >&2; exit 1")
    with pytest.raises(DeviceError, match="no systemd for its users") as caught:
        deploy("pi", bundle_path, [], progress=Quiet())
    assert caught.value.received == "Failed to connect to bus"
    assert not (board.folder / "deploy").exists()


def test_a_unit_of_the_user_s_own_is_not_replaced(board: Pi, bundle_path: Path) -> None:
    own = board.home / ".config" / "systemd" / "user" / "edgecnn.service"
    own.parent.mkdir(parents=True)
    own.write_text("[Service]")
    with pytest.raises(DeviceError, match="no service for these options") as caught:
        deploy("pi", bundle_path, [], progress=Quiet())
    assert own.read_text() == "[Service]"
    assert str(own) in str(caught.value.received)


@pytest.mark.slow
def test_a_bundle_of_the_other_computer_is_whole(board: Pi, bundle_path: Path) -> None:
    release = Path(deploy("pi", bundle_path, [], progress=Quiet())["release"])
    assert Bundle.read(release / "tiny.tflite").labels == Bundle.read(bundle_path).labels
