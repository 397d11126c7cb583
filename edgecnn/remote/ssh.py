"""The link to another computer: the system's ``ssh``, with the user's own configuration, keys and known hosts.

Nothing is ever asked: a password, a passphrase or an unknown host key is an error that says what to do about it. A
connection stays open for a minute after its last use, so that the next command need not greet again.
"""

import json
import os
import select
import shlex
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from edgecnn.errors import DeviceError, UsageError
from edgecnn.remote import there

MINIMUM = (3, 10)
_STAY_S = 60
_CONNECT_S = 10  # until sshd there has said who it is
_GREETING_S = 60  # until Python there runs; a Pi with a slow card takes some seconds
_PROBE_S = 5  # between ssh's own questions whether it still is there, of which four may stay without an answer
_ALIVE_EVERY_S = 5.0
_LONGEST_SOCKET = 104 - 40 - 18  # of a socket's name; ssh adds a hash, and while it makes one a random suffix
_START = (
    "import sys;b=sys.stdin.buffer.raw;v=sys.version_info[:2];"
    f"v<{MINIMUM} and sys.exit('EDGECNN-OLD %d.%d'%v);"
    "n=int(b.read(9));s=b'';\n"
    "while len(s)<n:s+=b.read(n-len(s)) or sys.exit(1)\n"
    "exec(compile(s,'there.py','exec'))"
)
_MEANINGS = (  # what OpenSSH says, what that means, what is accepted and what to do
    (
        "IDENTIFICATION HAS CHANGED",
        "{host} has another key than the one that ssh knows: it was installed anew, or is another computer.",
        "the key in your known_hosts",
        "make sure that it is yours, then: ssh-keygen -R {name}; ssh {host}",
    ),
    (
        "Host key verification failed",
        "ssh does not know the key of {host} yet.",
        "a host that you have said yes to once",
        "ssh {host}: compare the fingerprint and answer yes; then run this again",
    ),
    (
        "Permission denied",
        "{host} lets nobody in with this user and these keys.",
        "a login with a key and without a question",
        "ssh-copy-id {host}, or name the key in ~/.ssh/config; a key with a passphrase: ssh-add",
    ),
    (
        "Too many authentication failures",
        "{host} was offered too many wrong keys.",
        "the right key among the first",
        "name it in ~/.ssh/config: IdentityFile, and IdentitiesOnly yes",
    ),
    (
        "Could not resolve hostname",
        "There is no computer with the name in {host}.",
        "a name or an address that this computer finds",
        "look at the name; a Pi is often raspberrypi.local, and the address is in the router's list",
    ),
    (
        "Could not request local forwarding",
        "The page cannot be shown here: its port is taken on this computer.",
        "a free port",
        "choose another, such as --listen 127.0.0.1:8043",
    ),
    (
        "",
        "{host} does not answer.",
        "a computer that is on, in this network, and takes ssh",
        "try ssh {host}; on a Pi: sudo raspi-config, Interface Options, SSH",
    ),
)


def check_host(host: str) -> str:
    """What stands after ``--on``.

    Raises:
        UsageError: it can be no host.
    """
    if not host or host.startswith("-") or any(mark.isspace() or not mark.isprintable() for mark in host):
        raise UsageError(
            "That is no host.",
            received=f"{host!a}",
            accepted="user@host, or a Host of your ~/.ssh/config",
            remedy="name the computer as you would for ssh",
        )
    return host


class Ssh:
    """A conversation with `there` on another computer."""

    def __init__(self, host: str, process: "subprocess.Popen[bytes]", complaints: Path) -> None:
        self.host = host
        self._process, self._complaints = process, complaints
        assert process.stdin is not None
        assert process.stdout is not None
        self._to, self._from = process.stdin, process.stdout
        self._waiting = b""
        self._sending, self._closed = threading.Lock(), threading.Event()
        # In a thread of its own, for who reads our stdout may be slow, or read nothing for a while.
        threading.Thread(target=self._live, name="alive", daemon=True).start()

    def ask(
        self,
        op: str,
        payload: Iterable[bytes] = (),
        on: Callable[[bytes, bytes], None] = lambda kind, data: None,
        **arguments: Any,
    ) -> dict[str, Any]:
        """One request: its result. Ctrl-C goes to what runs there, which may still have one; twice ends the link.

        Args:
            op: a method of `there.There`.
            payload: the bytes that the request announces.
            on: is told each frame that comes before the result.
            arguments: of the method.

        Raises:
            there.Refused: it cannot be had.
            DeviceError: the link was lost.
        """
        stopped = False
        with self._sending, suppress(BrokenPipeError):  # it refuses, or the link is gone: what it says is read below
            self._to.write(json.dumps({"op": op, **arguments}).encode() + b"\n")
            for piece in payload:
                self._to.write(piece)
            self._to.flush()
        while True:
            try:
                kind, data = self._frame()
                if kind == there.RESULT:
                    return dict(json.loads(data))
                if kind == there.REFUSAL:
                    raise there.Refused(*json.loads(data))
                on(kind, data)
            except KeyboardInterrupt:
                if stopped or op != "run":
                    raise
                stopped = True
                self._tell(b"stop\n")

    def greet(self, program: bytes) -> None:
        """Start the other side.

        Raises:
            DeviceError: there is no way in, or no Python that will do.
        """
        self._tell(b"%09d" % len(program) + program)  # before any sign of life, which is due later
        before, end = b"", time.monotonic() + _GREETING_S
        while there.MAGIC not in before:
            if not select.select([self._from], [], [], max(0, end - time.monotonic()))[0]:
                self._process.kill()
                raise self._silence(before)
            piece = self._read()
            if not piece:
                raise self._failure()
            before += piece
        self._waiting = before.partition(there.MAGIC)[2]

    def _frame(self) -> tuple[bytes, bytes]:
        header = self._exactly(5)
        return header[:1], self._exactly(*struct.unpack(">I", header[1:]))

    def _tell(self, text: bytes) -> None:
        with self._sending, suppress(BrokenPipeError):
            self._to.write(text)
            self._to.flush()

    def _live(self) -> None:
        """Signs of life; none gets between a request and its bytes."""
        while not self._closed.wait(_ALIVE_EVERY_S):
            with suppress(ValueError):  # closed meanwhile
                self._tell(b"alive\n")

    def _exactly(self, size: int) -> bytes:
        while len(self._waiting) < size:
            if not (piece := self._read()):
                raise self._lost()
            self._waiting += piece
        found, self._waiting = self._waiting[:size], self._waiting[size:]
        return found

    def _read(self) -> bytes:
        return os.read(self._from.fileno(), 1 << 16)

    def close(self) -> None:
        """Whatever still runs there is ended."""
        self._closed.set()
        with suppress(OSError):
            self._to.close()
        try:
            self._process.wait(there.GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._from.close()

    def _said(self) -> str:
        self._process.wait()
        return self._complaints.read_text(errors="replace")

    def _lost(self) -> DeviceError:
        said = self._said().strip().splitlines()
        return DeviceError(
            f"The link to {self.host} was cut.",
            received=said[-1] if said else "the connection ended",
            accepted="a link that lasts",
            remedy="run the command again: what ran there was ended, and nothing is left half-made",
        )

    def _silence(self, before: bytes) -> DeviceError:
        lines = before.decode(errors="replace").strip().splitlines()
        return DeviceError(
            f"Python does not start on {self.host}: it is silent for {_GREETING_S} s.",
            received=lines[-1] if lines else "nothing",
            accepted="a login shell that asks nothing, and a python3 that starts",
            remedy=f"try ssh {self.host} python3 --version, and look there for what hangs: a full card, a login script",
        )

    def _failure(self) -> DeviceError:
        """Why it never began."""
        said = self._said()
        last = (said.strip().splitlines() or [f"ssh ended with {self._process.returncode}"])[-1]
        if "EDGECNN-OLD" in said:
            return DeviceError(
                f"The Python of {self.host} is too old.",
                received=f"Python {last.split()[-1]}",
                accepted=f"Python {MINIMUM[0]}.{MINIMUM[1]} or newer, as python3",
                remedy="install the present Raspberry Pi OS, 64-bit",
            )
        if self._process.returncode != 255:
            return DeviceError(
                f"There is no Python on {self.host}, or it does not start.",
                received=last,
                accepted=f"Python {MINIMUM[0]}.{MINIMUM[1]} or newer, as python3",
                remedy="sudo apt install python3 python3-venv",
            )
        _, what, accepted, remedy = next(each for each in _MEANINGS if each[0] in said)
        names = {"host": self.host, "name": self.host.rpartition("@")[2]}
        return DeviceError(what.format(**names), received=last, accepted=accepted, remedy=remedy.format(**names))


@contextmanager
def talking(host: str, *, forward: int | None = None) -> Iterator[Ssh]:
    """A conversation with another computer, which ends with the block.

    Args:
        host: as ssh takes it.
        forward: a port of its loopback that is to be one of this computer's, too.

    Raises:
        UsageError: no host, or no ssh here.
        DeviceError: there is no way in, or no Python that will do.
    """
    check_host(host)
    command = f"exec python3 -I -S -c {shlex.quote(_START)}"
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
        complaints = Path(folder) / "stderr"
        with complaints.open("wb") as stderr:  # a pipe would be held open by the connection that stays
            try:
                process = subprocess.Popen(
                    ["ssh", *_options(forward), "--", host, command],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    start_new_session=True,  # Ctrl-C is handed on in words
                )
            except FileNotFoundError as error:
                raise UsageError(
                    "There is no ssh on this computer.",
                    accepted="OpenSSH's client",
                    remedy="sudo apt install openssh-client",
                ) from error
        link = Ssh(host, process, complaints)
        try:
            link.greet(Path(there.__file__).read_bytes())
            yield link
        finally:
            link.close()


def _options(forward: int | None) -> list[str]:
    settings = [
        "BatchMode=yes",
        f"ConnectTimeout={_CONNECT_S}",
        f"ServerAliveInterval={_PROBE_S}",
        "ServerAliveCountMax=4",
        "LogLevel=ERROR",
    ]
    settings += ["ForwardX11=no", "ForwardAgent=no", "RequestTTY=no", "RemoteCommand=none", "PermitLocalCommand=no"]
    if forward is not None:
        settings += [
            "ControlPath=none",
            "ExitOnForwardFailure=yes",
            f"LocalForward=127.0.0.1:{forward} 127.0.0.1:{forward}",
        ]
    elif sockets := _sockets():
        settings += ["ControlMaster=auto", f"ControlPersist={_STAY_S}", f"ControlPath={sockets}/%C"]
    return [word for setting in settings for word in ("-o", setting)]


def _sockets() -> Path | None:
    """A folder that nobody else may look into; None where there can be none, and each command greets anew."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(runtime) / "edgecnn" if runtime else Path(tempfile.gettempdir()) / f"edgecnn-{os.getuid()}"
    if len(os.fsencode(folder)) > _LONGEST_SOCKET:
        return None
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        facts = folder.lstat()
    except OSError:
        return None
    private = facts.st_uid == os.getuid() and not facts.st_mode & 0o077 and not folder.is_symlink()
    return folder if private else None
