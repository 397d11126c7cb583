"""What can be wrong with another computer: each is an error that says what to do, and exits with 7."""

import hashlib
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from edgecnn.errors import DeviceError, EdgecnnError, UsageError
from edgecnn.remote import connected, forget
from edgecnn.remote.ssh import Ssh
from tests.conftest import Quiet
from tests.remote.conftest import Pi, on

pytestmark = pytest.mark.sshd
REAL = sys.executable


def hiding(folder: str) -> str:
    """A Python that finds nothing in a folder of its standard library."""
    place = Path(sysconfig.get_path("stdlib")) / folder
    return f'exec unshare --map-root-user --mount sh -c \'mount -t tmpfs none {place}; exec "{REAL}" "$@"\' sh "$@"'


def refused(host: str = "pi") -> EdgecnnError:
    with pytest.raises(EdgecnnError) as caught, connected(host, Quiet()):
        pass
    assert caught.value.received
    assert caught.value.accepted
    return caught.value


def reconfigure(pi: Pi, tmp_path: Path, old: str, new: str) -> None:
    """Another ssh config in the place of the right one."""
    text = pi.config.read_text()
    assert old in text
    (tmp_path / "config").write_text(text.replace(old, new))
    (tmp_path / "bin" / "ssh").write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F "{tmp_path / "config"}" "$@"\n')


@pytest.mark.parametrize(
    ("old", "new", "message", "remedy"),
    [
        ("Port {port}", "Port 1", "pi does not answer.", "try ssh pi"),
        ("HostName 127.0.0.1", "HostName nowhere.invalid", "There is no computer with the name in pi.", "local"),
        ("{base}/user\n", "{base}/stranger\n", "pi lets nobody in with this user and these keys.", "ssh-copy-id pi"),
        ("{base}/known", "/dev/null", "ssh does not know the key of pi yet.", "ssh pi: compare"),
        ("{base}/known", "{tmp}/other", "pi has another key than the one that ssh knows", "ssh-keygen -R"),
    ],
)
def test_no_way_in(pi: Pi, tmp_path: Path, old: str, new: str, message: str, remedy: str) -> None:
    base = pi.config.parent
    key = " ".join((base / "stranger.pub").read_text().split()[:2])
    (tmp_path / "other").write_text(f"[127.0.0.1]:{pi.port} {key}\n")
    names = {"port": pi.port, "base": base, "tmp": tmp_path}
    reconfigure(pi, tmp_path, old.format(**names), new.format(**names))
    error = refused()
    assert isinstance(error, DeviceError)
    assert error.message.startswith(message)
    assert remedy in error.remedy
    assert not pi.folder.exists()


@pytest.mark.parametrize(
    ("python", "message", "received"),
    [
        (
            f"exec '{REAL}' -c 'import sys; sys.version_info = (3, 7, 3, \"final\", 0); exec(sys.argv[-1])' \"$@\"",
            "The Python of pi is too old.",
            "Python 3.7",
        ),
        (f"exec setarch linux32 '{REAL}' \"$@\"", "edgecnn does not run on pi.", "Linux, i686, a 64-bit Python"),
        ('echo "python3: command not found" >&2; exit 127', "There is no Python on pi", "python3: command not found"),
        (
            'exec unshare --map-root-user --mount sh -c \'mount -t tmpfs -o size=20000k none "$HOME"; exec '
            f'"{REAL}" "$@"\' sh "$@"',
            "There is no space left on pi.",
            r"\d\d MB are free",
        ),
        (hiding("ensurepip"), "The Python of pi makes no virtual environment.", ".*ensurepip.*"),
        (hiding("venv"), "The Python of pi makes no virtual environment.", ".*venv.*"),
    ],
)
def test_a_computer_that_will_not_do(pi: Pi, python: str, message: str, received: str) -> None:
    pi.program("python3", python)
    error = refused()
    assert error.message.startswith(message)
    assert re.fullmatch(received, str(error.received))
    assert error.exit_code == 7
    assert not pi.folder.exists() or pi.quiet()


@pytest.mark.slow
def test_a_disk_that_is_full_in_the_middle_of_it(pi: Pi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecnn.remote.host._NEEDED_BYTES", 1)
    pi.program(
        "python3",
        'mkdir -p "$HOME/.edgecnn"; exec unshare --map-root-user --mount sh -c '
        f'\'mount -t tmpfs -o size=6000k none "$HOME/.edgecnn"; exec "{REAL}" "$@"\' sh "$@"',
    )
    assert refused().message == "There is no space left on pi."
    assert pi.quiet()


@pytest.mark.slow
def test_a_model_that_has_no_space_is_not_there_by_half(ready: Pi, bundle_path: Path) -> None:
    ready.program(
        "python3",
        'mkdir -p "$HOME/.edgecnn/models"; rm -f "$HOME"/.edgecnn/models/*\nexec unshare --map-root-user --mount sh -c '
        f'\'mount -t tmpfs -o size=4k none "$HOME/.edgecnn/models"; exec "{REAL}" "$@"\' sh "$@"',
    )
    done = on(ready, "bench", bundle_path)
    assert done.returncode == 7
    assert "There is no space left on pi." in done.stderr
    assert ready.quiet()


@pytest.mark.parametrize("host", ["", "-oProxyCommand=true", "a b", "a\nb"])
def test_what_is_no_host(host: str) -> None:
    with pytest.raises(UsageError, match="no host"), connected(host, Quiet()):
        pass


def test_no_ssh_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="no ssh on this computer"), connected("pi", Quiet()):
        pass


def test_nothing_to_forget(pi: Pi) -> None:
    assert not forget("pi")


def fake_wheel(folder: Path, name: str, tag: str = "py3-none-any") -> None:
    """A wheel without a file: pip only wants its name."""
    about = f"{name}-99.0.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 99.0\n"
    files = {"METADATA": metadata, "WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n", "RECORD": ""}
    with zipfile.ZipFile(folder / f"{name}-99.0-{tag}.whl", "w") as archive:
        for file, text in files.items():
            archive.writestr(f"{about}/{file}", text)


@pytest.fixture
def cut_off(pi: Pi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A Pi without internet and without packages; a folder that the pip of this computer finds wheels in."""
    pi.program("python3", f"export PYTHONPATH=; exec '{REAL}' \"$@\"")
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.mark.slow
def test_wheels_are_carried_to_a_computer_without_internet(pi: Pi, cut_off: Path, progress: Quiet) -> None:
    names = ("click", "flatbuffers", "numpy", "opencv_python_headless", "rich", "segno", "starlette", "uvicorn")
    for name in names:
        fake_wheel(cut_off, name)
    fake_wheel(cut_off, "ai_edge_litert", tag="py3-none-manylinux_2_27_x86_64")
    with connected("pi", progress) as there:
        packages = {path.name for path in (pi.folder / there.venv).glob("lib/python3*/site-packages/*-99.0.dist-info")}
    assert {"ai_edge_litert-99.0.dist-info", "segno-99.0.dist-info"} <= packages
    assert any("carried there" in line for line in progress.lines)
    assert pi.quiet()


@pytest.mark.slow
def test_packages_that_neither_finds(pi: Pi, cut_off: Path) -> None:
    error = refused()
    assert error.message == "The packages that edgecnn needs are found neither by pi nor here."
    assert "No matching distribution" in str(error.received)
    assert pi.quiet()
    assert not list(pi.folder.glob("venv-*"))


@pytest.mark.slow
def test_an_environment_of_another_version_goes_unless_it_is_used(ready: Pi) -> None:
    (mine,) = ready.folder.glob("venv-*")
    old, used = mine.rename(mine.with_name("venv-0.0.1-old")), mine.with_name("venv-0.0.1-used")
    used.mkdir()
    holder = subprocess.Popen(["flock", "--shared", used, "cat"], stdin=subprocess.PIPE)
    try:
        with connected("pi", Quiet()):
            pass
        assert (old.exists(), used.exists(), mine.exists()) == (False, True, True)
    finally:
        holder.communicate()


def test_a_wheel_is_the_same_twice() -> None:
    from edgecnn.remote.wheel import wheel

    assert hashlib.sha256(wheel().data).digest() == hashlib.sha256(wheel().data).digest()


def test_signs_of_life_go_on_while_much_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("edgecnn.remote.ssh._ALIVE_EVERY_S", 0.01)
    said = tmp_path / "said"
    words = ["sh", "-c", 'yes & cat > "$0"; kill $!', said]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    link = Ssh("pi", process, tmp_path)
    while not said.exists() or b"alive" not in said.read_bytes():
        assert link._read().startswith((b"y", b"\n"))
    link.close()
