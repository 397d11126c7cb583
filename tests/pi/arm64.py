"""A Pi's userland without a Pi: Debian's arm64 packages unpacked, the wheels beside them, and a `python` to call.

Nothing emulated runs while it is made. It is kept in the user's cache folder, 300 MB a kind; deleting it loses time.
"""

import compileall
import hashlib
import shlex
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from edgecnn.build.cache import Cache
from tests.pi import wheels
from tests.pi.boards import BOARDS
from tests.pi.wheels import run

REPOSITORY = Path(__file__).parents[2]
STORE = Cache().root / "pi"  # before any test names another
QEMU = "qemu-aarch64-static"
NEEDED = {"qemu-user-static": QEMU, "mmdebstrap": "mmdebstrap"}  # packages of Debian, and a program of each
SUITES = {"3.11": "bookworm", "3.13": "trixie"}  # Raspberry Pi OS of 2023 and of 2025
PACKAGES = "python3,python3-venv,libstdc++6"


@dataclass(frozen=True, kw_only=True)
class Pi:
    """A core, a Python and a runtime, of those that a Pi may have."""

    core: str
    python: str
    runtime: str = "litert"

    def make(self, root: Path) -> Path:
        """Make a folder that qemu takes for /, and return its Python; downloads what is not in the cache."""
        site, suite = self.site(), SUITES[self.python]
        with FileLock(STORE / "lock"):
            debian = _once(STORE / f"{suite}-{_short_hash(PACKAGES)}", lambda folder: _unpack_debian(suite, folder))
            self._compile(debian / f"usr/lib/python{self.python}", site)
        BOARDS[self.core].write(root)
        for name in ("usr", "lib"):  # in Debian's newer releases the second is in the first
            (root / name).symlink_to(debian / name if (debian / name).exists() else debian / "usr" / name)
        launcher = root / "python"
        launcher.write_text(f"#!/bin/sh\n{self.launch(root, site, REPOSITORY)}\n")
        launcher.chmod(0o755)
        return launcher

    def site(self) -> Path:
        """The folder of its packages; downloads them where they are not in the cache."""
        STORE.mkdir(parents=True, exist_ok=True)
        pins = wheels.requirements(self.python, self.runtime)
        name = f"{self.python}-{self.runtime}-{_short_hash(pins)}"
        with FileLock(STORE / "lock"):
            return _once(STORE / name, lambda folder: self._install(pins, folder))

    def _install(self, pins: str, folder: Path) -> None:
        listed = folder.with_suffix(".txt")
        listed.write_text(pins)
        wheels.install(listed, self.python, folder)

    def _compile(self, *folders: Path) -> None:
        """Make byte code where this Python makes the same; else the emulated one does, as it goes."""
        if sys.version_info[:2] == tuple(map(int, self.python.split("."))):
            for folder in folders:
                compileall.compile_dir(folder, quiet=2)

    def launch(self, root: Path, *packages: Path) -> str:
        """The lines of a script that is this Python, with these folders of packages.

        A script, for a program under qemu that starts `sys.executable` must find what the host can execute.
        """
        found = shlex.quote(":".join(map(str, packages)))
        python = shlex.quote(str(root / f"usr/bin/python{self.python}"))
        return (
            "unset PYTHONDONTWRITEBYTECODE\n"  # compiling all that is imported, again and again, takes minutes
            f'export QEMU_CPU={self.core} PYTHONPATH="${{PYTHONPATH:+$PYTHONPATH:}}"{found}\n'
            f'exec {QEMU} -L {shlex.quote(str(root))} -0 "$0" {python} "$@"'
        )


def _once(folder: Path, make: Callable[[Path], None]) -> Path:
    """A folder that is there as a whole, or is made."""
    if not folder.exists():
        partial = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(partial, ignore_errors=True)
        make(partial)
        partial.rename(folder)
    return folder


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _unpack_debian(suite: str, folder: Path) -> None:
    options = ["--quiet", "--arch=arm64", "--variant=extract", f"--include={PACKAGES}"]
    command = ["mmdebstrap", *options, *_acquire_options(), suite, str(folder), _mirror()]
    run(command)


def _mirror() -> str:
    """The mirror of Debian that this machine's own apt takes its packages from."""
    chosen = ["Created-By: Packages", "Label: Debian", "Component: main"]
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", *chosen]
    found = run(command).split()
    if not found:
        raise RuntimeError("apt on this machine has no mirror of Debian: run apt-get update, on Debian")
    return found[0]


def _acquire_options() -> list[str]:
    """How this machine's apt reaches it: proxies and certificates."""
    lines = run(["apt-config", "dump"]).splitlines()
    wanted = ("Acquire::http", "Acquire::https", "Acquire::Retries")
    return [f"--aptopt={line}" for line in lines if line.startswith(wanted) and not line.endswith('"";')]
