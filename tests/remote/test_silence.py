"""A computer that says nothing, at each point of the way: an error in reasonable time, and none waits for ever."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgecnn.errors import DeviceError
from edgecnn.remote import connected, ssh
from tests.conftest import Quiet
from tests.remote.conftest import Pi

pytestmark = pytest.mark.sshd


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds in the place of tens of them."""
    for name, seconds in (("_CONNECT_S", 2), ("_GREETING_S", 3), ("_PROBE_S", 1)):
        monkeypatch.setattr(ssh, name, seconds)


@contextmanager
def silent(*, drops: bool) -> Iterator[int]:
    """A port where nobody answers: with its queue full the kernel drops what asks for a connection, as a firewall."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0 if drops else 8)
        waiting = [socket.socket() for _ in range(4 if drops else 0)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(server.getsockname())
        yield server.getsockname()[1]
        for each in waiting:
            each.close()


@pytest.mark.parametrize("drops", [True, False], ids=["drops all packets", "accepts and says nothing"])
def test_a_host_that_is_silent(pi: Pi, tmp_path: Path, drops: bool) -> None:
    with silent(drops=drops) as port:
        config = pi.config.read_text().replace(f"Port {pi.port}", f"Port {port}")
        (tmp_path / "config").write_text(config)
        (tmp_path / "bin" / "ssh").write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F "{tmp_path / "config"}" "$@"\n')
        with pytest.raises(DeviceError, match="pi does not answer") as caught, connected("pi", Quiet()):
            pass
    assert "timed out" in str(caught.value.received)
    assert "try ssh pi" in caught.value.remedy


def test_a_python_that_never_starts(pi: Pi) -> None:
    pi.program("python3", "exec sleep 20")
    with pytest.raises(DeviceError, match="Python does not start on pi") as caught, connected("pi", Quiet()):
        pass
    assert caught.value.received == "a login shell that greets"
    assert "ssh pi python3 --version" in caught.value.remedy


@pytest.mark.slow
def test_a_host_that_falls_silent_in_the_middle(ready: Pi) -> None:
    with pytest.raises(DeviceError, match="The link to pi was cut"):
        fallen_silent(ready)


def fallen_silent(pi: Pi) -> None:
    """Its end of the connection stops, and does not end."""
    with connected("pi", Quiet()) as there:
        tell(pi, signal.SIGSTOP)
        try:
            there.link.ask("look", venv=there.venv, models=[])
        finally:
            tell(pi, signal.SIGKILL)


def tell(pi: Pi, number: int) -> None:
    """A signal to the server's end of each connection."""
    for child in Path(f"/proc/{pi.pid}/task/{pi.pid}/children").read_text().split():
        os.kill(int(child), number)
