"""A real sshd on loopback, and a home of its own: the Pi of these tests."""

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"


@dataclass(frozen=True, kw_only=True)
class Pi:
    """What ssh calls ``pi`` in these tests.

    Attributes:
        home: where its user is at home.
        programs: what its user's PATH begins with; ``python3`` is there.
        config: the ssh config of who connects.
        port: of its sshd.
        pid: of it, too.
    """

    home: Path
    programs: Path
    config: Path
    port: int
    pid: int

    @property
    def folder(self) -> Path:
        """Where all of edgecnn is."""
        return self.home / ".edgecnn"

    def cut(self) -> None:
        """The link, in the middle of whatever goes on: the server's end of it dies."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        assert children
        for child in children:
            os.kill(int(child), signal.SIGKILL)

    def quiet(self) -> bool:
        """Whether nothing of edgecnn runs there any more, and nothing half-made is left."""
        left = [*self.folder.glob("*.part"), *self.folder.glob("runs/*")]
        running = [each for each in Path("/proc").glob("[0-9]*") if self._runs(each)]
        return not left and not running

    def _runs(self, process: Path) -> bool:
        with contextlib.suppress(OSError):
            return str(self.folder).encode() in (process / "cmdline").read_bytes()
        return False

    def program(self, name: str, text: str) -> None:
        """Put a program in the place of another."""
        path = self.programs / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pi]:
    """The one server of a session; a test gets a home of its own from `pi`."""
    base = tmp_path_factory.mktemp("pi")
    home, programs = base / "home", base / "bin"
    for folder in (home, programs, base / "site"):
        folder.mkdir()
    for name in ("host", "user", "stranger"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", base / name], check=True)
    shutil.copy(base / "user.pub", base / "authorized")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    _offline(base / "site")
    shell = base / "shell"
    shell.write_text(
        f"#!/bin/sh\nexport HOME='{home}' PATH='{programs}':/usr/bin:/bin PYTHONPATH='{base / 'site'}' PIP_NO_INDEX=1\n"
        'unset PIP_FIND_LINKS PIP_CONFIG_FILE\necho "a login shell that greets"\n'
        'cd "$HOME"; exec sh -c "$SSH_ORIGINAL_COMMAND"\n'
    )
    shell.chmod(0o755)
    (base / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {base / 'host'}\nPidFile none\nStrictModes no\nUsePAM no\n"
        f"AuthorizedKeysFile {base / 'authorized'}\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        f"PermitRootLogin yes\nForceCommand {shell}\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    server = subprocess.Popen([SSHD, "-D", "-e", "-f", base / "sshd_config"], stderr=subprocess.DEVNULL)
    try:
        _await(port)
        public = " ".join((base / "host.pub").read_text().split()[:2])
        (base / "known").write_text(f"[127.0.0.1]:{port} {public}\n")
        (base / "config").write_text(
            f"Host pi\n  HostName 127.0.0.1\n  Port {port}\n  User {getpass.getuser()}\n"
            f"  IdentityFile {base / 'user'}\n"
            f"  IdentitiesOnly yes\n  UserKnownHostsFile {base / 'known'}\n  GlobalKnownHostsFile /dev/null\n"
        )
        yield Pi(home=home, programs=programs, config=base / "config", port=port, pid=server.pid)
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def pi(sshd: Pi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pi]:
    """It with nothing on it, and an ``ssh`` whose user's config knows it."""
    shutil.rmtree(sshd.home)
    sshd.home.mkdir()
    shutil.rmtree(sshd.programs)
    sshd.programs.mkdir()
    sshd.program("python3", f'exec "{sys.executable}" "$@"')
    configure(sshd.config, tmp_path, monkeypatch)
    yield sshd
    hang_up(tmp_path)


@pytest.fixture(scope="session")
def first_uses() -> "list[subprocess.CompletedProcess[str]]":
    """What a session's first use said, once there was one."""
    return []


@pytest.fixture
def ready(pi: Pi, bundle_path: Path, first_uses: "list[subprocess.CompletedProcess[str]]") -> Pi:
    """It after its first use, which is a session's only one here."""
    kept = pi.home.with_name("kept")
    if first_uses:
        shutil.copytree(kept, pi.folder, symlinks=True, copy_function=os.link)
    else:
        first = on(pi, "bench", bundle_path, "--runs", 5)
        assert first.returncode == 0, first.stderr
        assert [path.name for path in pi.home.iterdir()] == [".edgecnn"]
        shutil.copytree(pi.folder, kept, symlinks=True)
        first_uses.append(first)
    return pi


def on(pi: Pi, *words: object, host: str = "pi") -> "subprocess.CompletedProcess[str]":
    """A command there, as a user types it here."""
    return subprocess.run(command(*words, host=host), capture_output=True, text=True, check=False)


def command(*words: object, host: str = "pi") -> list[str]:
    """Its words."""
    return [sys.executable, "-m", "edgecnn", *map(str, words), "--on", host]


def hang_up(tmp_path: Path) -> None:
    """End the connection that stays."""
    path = f"ControlPath={sockets(tmp_path) / '%C'}"
    subprocess.run(["ssh", "-o", path, "-O", "exit", "pi"], capture_output=True, check=False)
    shutil.rmtree(sockets(tmp_path).parent)


def sockets(tmp_path: Path) -> Path:
    """A short path: a socket's may not be long."""
    return Path("/tmp") / f"e{abs(hash(tmp_path)) % 10**8}" / "edgecnn"


def configure(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's ssh, with another user's config."""
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir(exist_ok=True)
    ssh.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F "{config}" "$@"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ssh.parent}:{os.environ['PATH']}")
    sockets(tmp_path).parent.mkdir(exist_ok=True)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(sockets(tmp_path).parent))


def _offline(site: Path) -> None:
    """What edgecnn needs, as if the Pi had it: no test downloads anything."""
    here = Path(pytest.__file__).parent.parent
    for each in here.iterdir():
        if not each.name.startswith(
            ("edgecnn", "_editable", "__editable", "tensorflow", "keras", "tf_keras", "pip", "setuptools")
        ):
            (site / each.name).symlink_to(each)


def _await(port: int) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if not probe.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.05)
    raise AssertionError("sshd does not start")
