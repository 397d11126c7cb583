"""The other side of ``--on``: the standard library alone, sent over ssh and run by the Pi's own ``python3``.

What comes in is one line of JSON a request, with the bytes that it announces behind it; what goes out are frames: a
letter, a length, and so many bytes. When the link is gone, what was started here is stopped, and what was half-made is
removed: all of it is in one folder, and every name that counts is given by a rename.
"""

import errno
import fcntl
import hashlib
import json
import os
import platform
import secrets
import selectors
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

SAY, OUT, ERR, DATA, RESULT, REFUSAL = b"s", b"o", b"e", b"d", b"r", b"x"
MAGIC = b"\0edgecnn\0"  # whatever a login shell prints comes before it
SILENCE_S = 40.0  # so long without a sign of life, and the link counts as gone
GRACE_S = 10.0  # for a program that was asked to end
FOLDER = Path.home() / ".edgecnn"
SERVICE = "edgecnn.service"
UNIT = Path.home() / ".config" / "systemd" / "user" / SERVICE  # the one thing that is elsewhere: a link into the folder
_PIECE = 1 << 16
_LEAST_BYTES = 4_000_000  # what fails with less left fails for that


class Gone(Exception):
    """Nobody listens any more."""


class Refused(Exception):
    """What was asked for cannot be had; the other end makes an error with a remedy of it."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(kind, detail)
        self.kind, self.detail = kind, detail


class Link:
    """Requests in, frames out."""

    def __init__(self) -> None:
        self._waiting = b""

    def line(self) -> bytes:
        """The next line."""
        while b"\n" not in self._waiting:
            self._waiting += self._more()
        line, _, self._waiting = self._waiting.partition(b"\n")
        return line

    def pieces(self, size: int) -> Iterator[bytes]:
        """The next so many bytes."""
        while size:
            piece, self._waiting = self._waiting[:size], self._waiting[size:]
            piece = piece or self._more(size)
            size -= len(piece)
            yield piece

    def _more(self, most: int = _PIECE) -> bytes:
        if not self.readable(SILENCE_S) or not (piece := os.read(0, min(most, _PIECE))):
            raise Gone
        return piece

    def readable(self, timeout_s: float) -> bool:
        """Whether something came within that time."""
        with selectors.DefaultSelector() as selector:
            selector.register(0, selectors.EVENT_READ)
            return bool(self._waiting or selector.select(timeout_s))

    def rest(self) -> bytes:
        """What came already and was not asked for."""
        rest, self._waiting = self._waiting, b""
        return rest

    def check(self) -> None:
        """Make sure that somebody listens, before what cannot be taken back."""
        if self.readable(0) and not self._waiting:
            self._waiting = self._more()

    def send(self, kind: bytes, data: bytes) -> None:
        """A frame."""
        rest = memoryview(kind + struct.pack(">I", len(data)) + data)
        try:
            while rest:
                rest = rest[os.write(1, rest) :]
        except OSError as error:
            raise Gone from error

    def say(self, text: str) -> None:
        """A line for people."""
        self.send(SAY, text.encode())


def watched(
    link: Link,
    command: list[str],
    *,
    where: Path,
    show: bool,
    environment: dict[str, str] | None = None,
    screen: tuple[int, int] | None = None,
) -> tuple[int, str]:
    """Run a program for as long as somebody listens; a line ``stop`` interrupts it, a second one kills it.

    Args:
        link: to who listens.
        command: what to run.
        where: its working folder.
        show: pass on what it says, as it says it.
        environment: None is this process's own.
        screen: columns and lines of the terminal that its stderr is to be; None for a pipe.

    Returns:
        Its exit code, and the end of what it said.
    """
    import pty

    inside, outside = pty.openpty() if screen else (-1, subprocess.PIPE)
    if screen:
        import termios

        fcntl.ioctl(outside, termios.TIOCSWINSZ, struct.pack("HHHH", screen[1], screen[0], 0, 0))
    child = subprocess.Popen(
        command,
        cwd=where,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=outside,
        start_new_session=True,
    )
    if screen:
        os.close(outside)
    assert child.stdout is not None
    pipes = {child.stdout.fileno(): OUT, inside if child.stderr is None else child.stderr.fileno(): ERR}
    said = b""
    try:
        for kind, piece in _relayed(link, child, pipes):
            said = (said + piece)[-8192:]
            if show:
                link.send(kind, piece)
        return child.wait(), said.decode(errors="replace")
    finally:
        _end(child)
        if screen:
            os.close(inside)


def _relayed(link: Link, child: "subprocess.Popen[bytes]", pipes: dict[int, bytes]) -> Iterator[tuple[bytes, bytes]]:
    heard, asked = time.monotonic(), False
    with selectors.DefaultSelector() as selector:
        for each in (0, *pipes):
            selector.register(each, selectors.EVENT_READ)
        while len(selector.get_map()) > 1:
            if b"stop" in link.rest():
                _signal(child, signal.SIGINT)
            for key, _ in selector.select(SILENCE_S / 4):
                if key.fd:
                    try:
                        piece = os.read(key.fd, _PIECE)
                    except OSError:  # a terminal that nobody has open any more
                        piece = b""
                    if piece:
                        yield pipes[key.fd], piece
                    else:
                        selector.unregister(key.fd)
                    continue
                heard = time.monotonic()
                if not (lines := os.read(0, _PIECE)):
                    raise Gone
                if b"stop" in lines:
                    _signal(child, signal.SIGKILL if asked else signal.SIGINT)
                    asked = True
            if time.monotonic() - heard > SILENCE_S:
                raise Gone


def _end(child: "subprocess.Popen[bytes]") -> None:
    """First as Ctrl-C does, so that what it writes is whole."""
    for number in (signal.SIGINT, signal.SIGKILL):
        with suppress(subprocess.TimeoutExpired):
            if child.poll() is None:
                _signal(child, number)
                child.wait(GRACE_S)
    if child.stdout:
        child.stdout.close()
    if child.stderr:
        child.stderr.close()


def _signal(child: "subprocess.Popen[bytes]", number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.pid, number)


@contextmanager
def held(path: Path, kind: int) -> Iterator[bool]:
    """A lock on a file or a folder; whether it was free. It ends with this process, however that ends."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, kind)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)


@contextmanager
def alone(link: Link) -> Iterator[None]:
    """One at a time changes what all share; others wait for as long as somebody listens."""
    descriptor = os.open(FOLDER / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    told = False
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    link.say("Somebody else is changing what is on this computer: waiting for them.")
                told = True
                if link.readable(0.5):
                    link.line()  # a sign of life; without any it raises
        yield
    finally:
        os.close(descriptor)


class There:
    """What can be asked for, one method each."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._own: Path | None = None

    def look(self, *, venv: str, models: list[str]) -> dict[str, Any]:
        """What this computer is, and what of it is there already; a new folder is made."""
        if platform.system() != "Linux" or sys.maxsize < 2**32 or platform.machine() not in ("aarch64", "x86_64"):
            bits = 64 if sys.maxsize > 2**32 else 32
            raise Refused("system", f"{platform.system()}, {platform.machine()}, a {bits}-bit Python")
        FOLDER.mkdir(mode=0o700, exist_ok=True)
        self._sweep(FOLDER / "runs")
        return {
            "python": list(sys.version_info[:2]),
            "machine": platform.machine(),
            "glibc": platform.libc_ver()[1],
            "free": shutil.disk_usage(FOLDER).free,
            "venv": (FOLDER / venv).is_dir(),
            "lacking": [each for each in models if not (FOLDER / "models" / each).exists()],
        }

    def setup(self, *, venv: str, wheels: list[tuple[str, int]], index: bool, needed: int) -> dict[str, Any]:
        """A virtual environment with these wheels, and with what they need from the index or from among them."""
        own = self._folder()
        carried = self._receive(own, wheels)
        with alone(self._link):
            for old in FOLDER.glob("*.part"):
                shutil.rmtree(old, ignore_errors=True)
            if (FOLDER / venv).is_dir():  # somebody else was first
                return {}
            if (free := shutil.disk_usage(FOLDER).free) < needed:
                raise Refused("space", f"{free / 1e6:.0f} MB are free")
            beside = FOLDER / f"{venv}.part"
            try:
                self._install(beside, carried[0], own, index)
                beside.rename(FOLDER / venv)
            finally:
                shutil.rmtree(beside, ignore_errors=True)
            self._forget_others(venv)
        return {}

    def _install(self, beside: Path, wheel: Path, own: Path, index: bool) -> None:
        # The system's packages are seen because picamera2, which pip does not have, is one of them.
        made = [sys.executable, "-m", "venv", "--system-site-packages", str(beside)]
        code, said = watched(self._link, made, where=own, show=False)
        if code:
            raise Refused("space" if _full(said) else "venv", _last(said))
        source = ["--retries=1", "--timeout=15"] if index else ["--no-index", f"--find-links={own}"]
        pip = [f"{beside}/bin/python", "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        pip += ["--no-cache-dir", "--progress-bar=off", *source, str(wheel)]
        code, said = watched(self._link, pip, where=own, show=False, environment=_plain(own))
        if code:
            raise Refused("space" if _full(said) else "pip", _last(said, "ERROR"))

    def _forget_others(self, venv: str) -> None:
        """Earlier environments, but for those that run something now or are a service's."""
        services = "".join(unit.read_text() for unit in FOLDER.glob(f"deploy/*/{SERVICE}"))
        for other in FOLDER.glob("venv-*"):
            if other.name in (venv, f"{venv}.part") or f"/{other.name}/" in services:
                continue
            with held(other, fcntl.LOCK_EX | fcntl.LOCK_NB) as free:
                if free:
                    other.rename(gone := other.with_name(f"{other.name}.part"))
                    shutil.rmtree(gone, ignore_errors=True)

    def keep(self, *, sha256: str, size: int) -> dict[str, Any]:
        """A model, under its hash."""
        (FOLDER / "models").mkdir(exist_ok=True)
        self._whole(FOLDER / "models" / sha256, sha256, size)
        kept = sorted((FOLDER / "models").iterdir(), key=lambda path: path.stat().st_mtime)
        for old in kept[:-20]:
            old.unlink(missing_ok=True)
        return {}

    def _whole(self, path: Path, sha256: str, size: int) -> None:
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        digest = hashlib.sha256()
        try:
            with beside.open("wb") as file:
                for piece in self._link.pieces(size):
                    digest.update(piece)
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            if digest.hexdigest() != sha256:
                raise Refused("hash", digest.hexdigest())
            beside.rename(path)
        finally:
            beside.unlink(missing_ok=True)

    def run(
        self,
        *,
        venv: str,
        words: list[str],
        models: dict[str, str],
        files: list[tuple[str, int]],
        screen: tuple[int, int] | None,
        environment: dict[str, str],
    ) -> dict[str, Any]:
        """``edgecnn WORDS`` in a folder of its own, in which the models and files lie under their names."""
        own = self._folder()
        for name, digest in models.items():
            (own / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(FOLDER / "models" / digest, own / name)
            os.utime(FOLDER / "models" / digest)
        self._receive(own, files)
        (own / "made").mkdir()
        with held(FOLDER / venv, fcntl.LOCK_SH):
            command = [str(FOLDER / venv / "bin" / "python"), "-m", "edgecnn", *words]
            code, _ = watched(
                self._link,
                command,
                where=own,
                show=True,
                environment={**os.environ, **environment},
                screen=screen,
            )
        made = [path for path in sorted((own / "made").rglob("*")) if path.is_file()]
        return {"code": code, "made": [[str(path.relative_to(own)), path.stat().st_size] for path in made]}

    def get(self, *, path: str) -> dict[str, Any]:
        """A file that the run made."""
        assert self._own is not None
        with (self._own / path).open("rb") as file:
            while piece := file.read(_PIECE):
                self._link.send(DATA, piece)
        return {}

    def deploy(self, *, venv: str, name: str, sha256: str, words: list[str]) -> dict[str, Any]:
        """A kept model as a service of this user's: made beside what runs, switched to by one rename, or back again."""
        if _systemctl("show-environment")[0]:
            raise Refused("systemd", _systemctl("show-environment")[1])
        if os.path.lexists(UNIT) and not (UNIT.is_symlink() and FOLDER in UNIT.readlink().parents):
            raise Refused("unit", f"{UNIT} is there already, and not deploy's")
        deployed = FOLDER / "deploy"
        with alone(self._link):
            release = deployed / f"{sha256[:16]}-{secrets.token_hex(4)}"
            release.mkdir(parents=True)
            try:
                shutil.copyfile(FOLDER / "models" / sha256, release / name)
                unit = ["service", "--user", "--out", str(release / SERVICE), "--", str(release / name), *words]
                command = [str(FOLDER / venv / "bin" / "python"), "-m", "edgecnn", *unit]
                (deployed / "files").mkdir(exist_ok=True)  # what it writes outlives it
                code, said = watched(self._link, command, where=deployed / "files", show=False)
                if code:
                    raise Refused("unit", _last(said))
                self._link.check()
                before = _current()
                _switch(release)
                if said := _started():
                    _switch(before)
                    _started()
                    raise Refused("service", said)
            except BaseException:
                if _current() != release:
                    shutil.rmtree(release, ignore_errors=True)
                raise
            for old in deployed.glob("*-*"):
                if old not in (release, before):
                    shutil.rmtree(old, ignore_errors=True)
        stays = subprocess.run(["loginctl", "enable-linger"], capture_output=True, check=False).returncode == 0
        return {"release": str(release), "previous": str(before) if before else None, "at_boot": stays}

    def forget(self) -> dict[str, Any]:
        """The folder goes, and the service with it."""
        if not FOLDER.is_dir():
            return {"there": False}
        with alone(self._link):  # the end of a deploy that was cut may still be at work
            if _current():
                _switch(None)
                _started()
            shutil.rmtree(FOLDER, ignore_errors=True)
        if FOLDER.exists():
            raise Refused("forget", ", ".join(path.name for path in FOLDER.iterdir()))
        return {"there": True}

    def clear(self) -> None:
        """What is of this session alone goes."""
        if self._own:
            shutil.rmtree(self._own, ignore_errors=True)
            os.close(self._lock)
            self._own = None

    def _folder(self) -> Path:
        """A folder of this session's own. Its lock ends with this process, and then others may remove it."""
        self.clear()
        own = FOLDER / "runs" / secrets.token_hex(8)
        own.mkdir(parents=True)
        self._lock = os.open(own, os.O_RDONLY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._own = own
        return own

    def _receive(self, folder: Path, files: list[tuple[str, int]]) -> list[Path]:
        paths = []
        for name, size in files:
            paths.append(path := folder / name)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                for piece in self._link.pieces(size):
                    file.write(piece)
        return paths

    def _sweep(self, runs: Path) -> None:
        """What runs left that ended with the power."""
        for old in runs.glob("*"):
            with suppress(FileNotFoundError), held(old, fcntl.LOCK_EX | fcntl.LOCK_NB) as free:
                if free:
                    shutil.rmtree(old, ignore_errors=True)


def _current() -> Path | None:
    link = FOLDER / "deploy" / "current"
    return link.readlink() if link.is_symlink() else None


def _switch(release: Path | None) -> None:
    """To this release by one rename, or to none."""
    link = FOLDER / "deploy" / "current"
    if release is None:
        _systemctl("disable", "--now", SERVICE)
        link.unlink(missing_ok=True)
        UNIT.unlink(missing_ok=True)
        return
    beside = link.with_name("next")
    beside.unlink(missing_ok=True)
    beside.symlink_to(release)
    beside.rename(link)
    UNIT.parent.mkdir(parents=True, exist_ok=True)
    UNIT.unlink(missing_ok=True)
    UNIT.symlink_to(link / SERVICE)


def _started() -> str:
    """What systemd has against what is current now, and nothing where it runs; it does when it has its first answer."""
    _systemctl("daemon-reload")
    if not _current():
        return ""
    for words in (("enable", SERVICE), ("restart", SERVICE)):
        code, said = _systemctl(*words)
        if code:
            return said
    return ""


def _systemctl(*words: str) -> tuple[int, str]:
    try:
        done = subprocess.run(["systemctl", "--user", *words], capture_output=True, text=True, check=False)
    except OSError as error:
        return 127, str(error)
    return done.returncode, _last(done.stderr)


def _plain(temporary: Path) -> dict[str, str]:
    """pip unpacks where there is space: what is in /tmp of a Pi is in its memory."""
    return {**os.environ, "TMPDIR": str(temporary), "LC_ALL": "C.UTF-8"}


def _full(said: str) -> bool:
    """Whether a program failed for want of space; venv keeps to itself what pip said in it."""
    return "No space left" in said or shutil.disk_usage(FOLDER).free < _LEAST_BYTES


def _last(said: str, about: str = "") -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return ([line for line in lines if about in line] or lines or ["it said nothing"])[-1]


def serve(link: Link) -> None:
    """Answer requests until the link ends."""
    os.write(1, MAGIC)
    there = There(link)
    try:
        while True:
            if not (line := link.line()).startswith(b"{"):
                continue  # a sign of life
            request = json.loads(line)
            operation: Callable[..., dict[str, Any]] = getattr(there, request.pop("op"))
            try:
                link.send(RESULT, json.dumps(operation(**request)).encode())
            except Refused as refusal:
                link.send(REFUSAL, json.dumps([refusal.kind, refusal.detail]).encode())
                return  # what came behind the request was perhaps not read
            except OSError as error:
                full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
                link.send(REFUSAL, json.dumps(["space" if full else "disk", str(error)]).encode())
                return
    except Gone:
        pass
    finally:
        there.clear()


if __name__ == "__main__":
    serve(Link())
