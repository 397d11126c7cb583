"""The whole way to an emulated Pi: a real sshd, and behind it the arm64 Python of `tests/pi` under qemu.

    pytest -m slow tests/remote/test_arm64.py

Most of the time venv and pip take; it means nothing.
"""

import contextlib
import json
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from edgecnn.remote import deploy, forget
from tests.conftest import Quiet
from tests.pi import arm64
from tests.remote.conftest import Pi, command, on
from tests.remote.test_deploy import SYSTEMCTL, kept
from tests.remote.test_on import started, wait

pytestmark = [pytest.mark.sshd, pytest.mark.qemu, pytest.mark.slow]


@pytest.fixture
def board(pi: Pi, tmp_path_factory: pytest.TempPathFactory) -> Pi:
    """The computer of these tests as a Pi 4: its `python3` is one, and all that its packages are is there."""
    if missing := [package for package, program in arm64.NEEDED.items() if not shutil.which(program)]:
        pytest.skip(f"apt install --no-install-recommends {' '.join(missing)}")
    emulated, root = arm64.Pi(core="cortex-a72", python="3.11"), tmp_path_factory.mktemp("root")
    emulated.make(root)
    pi.program("python3", f"unset PYTHONPATH\n{emulated.launch(root, emulated.site())}")
    pi.program("systemctl", SYSTEMCTL)
    pi.program("loginctl", "exit 0")
    return pi


def test_first_use_second_use_deploy_and_links_that_are_cut(board: Pi, bundle_path: Path) -> None:
    running = started("bench", bundle_path, "--json")
    wait(lambda: list(board.folder.glob("*.part")), running)
    board.cut()
    running.communicate()
    wait(board.quiet)
    assert (running.returncode, list(board.folder.glob("venv-*"))) == (7, [])

    first = on(board, "bench", bundle_path, "--runs", 5)
    assert (first.returncode, "Setting pi up" in first.stderr) == (0, True), first.stderr
    second = on(board, "bench", bundle_path, "--runs", 5, "--json")
    assert second.stderr == ""
    assert json.loads(second.stdout)["host"]["processor"].startswith("QEMU, as Raspberry Pi 4")

    running = started("bench", bundle_path, "--runs", 10**9)
    wait(lambda: not board.quiet(), running)
    board.cut()
    running.communicate()
    wait(board.quiet)

    done = deploy("pi", bundle_path, ["--camera", "synthetic", "--frames", "3"], progress=Quiet())
    starts = (board.home / "running").read_text().strip().partition("=")[2]
    ran = subprocess.run(shlex.split(starts.replace("%%", "%")), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr

    (board.home / "slow").touch()
    (board.home / "said").unlink()
    running = subprocess.Popen([*command("deploy", bundle_path)[:-2], "pi"], stderr=subprocess.PIPE, text=True)
    wait(lambda: (board.home / "said").exists(), running)
    board.cut()
    running.communicate()
    wait(lambda: not listening())
    assert board.quiet()
    assert kept(board) == {Path(done["release"]).name}
    assert forget("pi")
    assert not board.folder.exists()


def listening() -> bool:
    """Whether the other end of a conversation still runs; it tidies up only when systemctl has answered."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(each.read_bytes())
    return any(line.startswith(arm64.QEMU.encode()) and b"EDGECNN-OLD" in line for line in found)
