"""Another computer with this very edgecnn on it: looked at, set up where it is not, and forgotten."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecnn.errors import DeviceError, EdgecnnError
from edgecnn.progress import Progress
from edgecnn.remote.ssh import MINIMUM, Ssh, talking
from edgecnn.remote.there import Refused
from edgecnn.remote.wheel import Wheel, wheel

_NEEDED_BYTES = 700_000_000  # the environment, and the wheels that it is made of
_MISSING = re.compile(r"No matching distribution found for ([\w.-]+)")
_DOWNLOADS = 5


@dataclass(frozen=True, kw_only=True)
class Host:
    """A computer that is set up: the link to it, the environment on it, and what it is."""

    link: Ssh
    venv: str
    facts: Mapping[str, Any]


@contextmanager
def connected(
    host: str, progress: Progress, *, models: Mapping[str, bytes] | None = None, forward: int | None = None
) -> Iterator[Host]:
    """A computer with this edgecnn and these models on it.

    Args:
        host: as ssh takes it.
        progress: where to say what takes long.
        models: bytes by their SHA-256; those that it lacks are sent.
        forward: see `talking`.

    Raises:
        UsageError: no host, or no ssh here.
        DeviceError: it does not answer, lets nobody in, is not one that edgecnn runs on, or is full.
    """
    models, packed = models or {}, wheel()
    for first in (True, False):
        with talking(host, forward=forward) as link, refusals(host):
            facts = link.ask("look", venv=packed.venv, models=list(models))
            if facts["venv"] or not first:
                for digest in facts["lacking"]:
                    link.ask("keep", [models[digest]], sha256=digest, size=len(models[digest]))
                yield Host(link=link, venv=packed.venv, facts=facts)
                return
        _set_up(host, packed, progress)


def _look(host: str, packed: Wheel) -> dict[str, Any]:
    with talking(host) as link, refusals(host):
        return link.ask("look", venv=packed.venv, models=[])


def _set_up(host: str, packed: Wheel, progress: Progress) -> None:
    """With what its own pip finds; where that finds nothing, such as without internet, with what is found here."""
    progress.say(f"Setting {host} up, once for this version: edgecnn and what it needs, in ~/.edgecnn.")
    progress.update(0, 0, f"{host} installs edgecnn")
    try:
        _install(host, packed, {packed.name: packed.data}, progress, index=True)
    except Refused as refusal:
        progress.say(f"{host} found no packages ({refusal.detail}): they are fetched here and carried there.")
        _carry(host, packed, progress)


def _install(host: str, packed: Wheel, wheels: Mapping[str, bytes], progress: Progress, *, index: bool) -> None:
    total, done = sum(len(data) for data in wheels.values()), 0

    def pieces() -> Iterator[bytes]:
        nonlocal done
        for data in wheels.values():
            for start in range(0, len(data), 1 << 18):
                yield data[start : start + (1 << 18)]
                done += len(data[start : start + (1 << 18)])
                progress.update(done, total, f"sending wheels to {host}")
        progress.update(0, 0, f"{host} installs edgecnn")

    with talking(host) as link, refusals(host, but="pip"):
        link.ask(
            "setup",
            pieces(),
            lambda kind, data: progress.say(data.decode()),
            venv=packed.venv,
            wheels=[(name, len(data)) for name, data in wheels.items()],
            index=index,
            needed=_NEEDED_BYTES,
        )


def _carry(host: str, packed: Wheel, progress: Progress) -> None:
    """pip reads markers as those of the Python that it runs in: what another Python needs more, that one names."""
    facts = _look(host, packed)
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as name:
        folder = Path(name)
        (folder / packed.name).write_bytes(packed.data)
        wanted = [str(folder / packed.name)]
        for _ in range(_DOWNLOADS):
            progress.update(0, 0, f"fetching wheels for {host}")
            _download(host, wanted, folder, facts)
            others = {path.name: path.read_bytes() for path in sorted(folder.glob("*.whl")) if path.name != packed.name}
            try:
                return _install(host, packed, {packed.name: packed.data, **others}, progress, index=False)
            except Refused as refusal:
                missing = _MISSING.search(refusal.detail)
                if not missing or missing[1] in wanted:
                    raise _no_packages(host, refusal.detail) from None
                wanted.append(missing[1])
    raise _no_packages(host, "it needs more and more of them")


def _download(host: str, wanted: list[str], folder: Path, facts: Mapping[str, Any]) -> None:
    version, glibc = ".".join(map(str, facts["python"])), int((facts["glibc"] or "2.17").split(".")[1])
    tags = [f"manylinux_2_{minor}_{facts['machine']}" for minor in range(5, glibc + 1)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--only-binary=:all:", "--implementation=cp", f"--python-version={version}", "--dest", str(folder)]
    command += [f"--platform={tag}" for tag in (*tags, f"manylinux2014_{facts['machine']}")]
    done = subprocess.run([*command, *wanted], capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "ERROR" in line] or ["pip said nothing"]
        raise _no_packages(host, lines[-1])


def _no_packages(host: str, said: str) -> DeviceError:
    return DeviceError(
        f"The packages that edgecnn needs are found neither by {host} nor here.",
        received=said,
        accepted="an internet connection, or a package index, for one of the two",
        remedy=f"try `pip download numpy` here and on {host}, and mend what it says",
    )


def forget(host: str) -> bool:
    """Remove all that edgecnn put there; whether there was anything.

    Raises:
        DeviceError: there is no way in, or something cannot be removed.
    """
    with talking(host) as link, refusals(host):
        return bool(link.ask("forget")["there"])


@contextmanager
def refusals(host: str, but: str = "") -> Iterator[None]:
    """What the other side refuses, as errors with remedies.

    Args:
        host: who refuses.
        but: a kind that the caller knows what to do about.
    """
    try:
        yield
    except Refused as refusal:
        if refusal.kind == but:
            raise
        raise _error(host, refusal) from refusal


def _error(host: str, refusal: Refused) -> EdgecnnError:
    message, accepted, remedy = {
        "system": (
            f"edgecnn does not run on {host}.",
            f"a 64-bit Linux on aarch64 or x86-64, with Python {MINIMUM[0]}.{MINIMUM[1]} or newer",
            "install the 64-bit Raspberry Pi OS; a Pi 3, 4, 5 or Zero 2 W runs it",
        ),
        "space": (
            f"There is no space left on {host}.",
            f"{_NEEDED_BYTES / 1e6:.0f} MB for the first use, later as much as is sent",
            f"free some space there, or begin anew: edgecnn device forget {host}",
        ),
        "venv": (
            f"The Python of {host} makes no virtual environment.",
            "Python with venv and pip",
            "there: sudo apt install python3-venv",
        ),
        "hash": (f"A file arrived at {host} as another one.", "the bytes that were sent", "run the command again"),
        "service": (
            f"The service did not start on {host}; what ran before runs again.",
            "a demo that starts there",
            f"try the same options with edgecnn demo --on {host}",
        ),
        "unit": (
            f"There is no service for these options on {host}.",
            "a bundle, options of edgecnn demo, and no other edgecnn.service of this user's",
            f"try the same options with edgecnn demo --on {host}, or move what was received away, there",
        ),
        "systemd": (
            f"{host} has no systemd for its users.",
            "systemctl --user that answers, as on a Raspberry Pi OS",
            "log in there and try: systemctl --user status",
        ),
    }.get(
        refusal.kind,
        (f"{host} refused.", "a folder ~/.edgecnn that belongs to the user", "look at what was received, there"),
    )
    return DeviceError(message, received=refusal.detail, accepted=accepted, remedy=remedy)
