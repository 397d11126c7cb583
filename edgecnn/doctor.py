"""Whether an installation works, on a workstation or a Raspberry Pi: each finding with what to do about it.

The runtimes are asked to run a small model, each in a process of its own, for a broken one may crash; what a build
needs is looked up, and not imported, which would take seconds.
"""

import importlib.metadata
import os
import platform
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import edgecnn
from edgecnn.conditions import Snapshot
from edgecnn.latency import host_facts

Level = Literal["ok", "warn", "fail"]
_OLDEST, _NEWEST, _NEWEST_BUILD = (3, 10), (3, 14), (3, 13)
_HOT_C, _LEAST_GB, _BUILD_GB = 75.0, 1.0, 5.0
_BUILD = ("tensorflow", "tf-keras", "tensorflow-model-optimization")
_TIMEOUT_S = 20.0
# A number is added to itself, so that the answer is known; the runtimes are started by the very code that runs models.
_TRIAL = """
import sys
import numpy as np
from edgecnn.bench.generated import empty_model
from edgecnn.targets import TARGETS
session = TARGETS[sys.argv[1]].load(empty_model(), threads=1)
session.set_input(np.full(session.inputs[0].shape, 1.5, np.float32))
session.invoke()
assert session.output().reshape(-1)[0] == 3, "it computes something else"
print(session.runtime)
"""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One finding.

    Attributes:
        name: what was looked at.
        level: ``ok``, ``warn``: something will not go or go badly, ``fail``: edgecnn does not work here.
        found: what it is like.
        advice: what to do; None where nothing is.
    """

    name: str
    level: Level
    found: str
    advice: str | None = None


def examine(*, system: Path = Path("/sys"), devices: Path = Path("/dev")) -> tuple[Check, ...]:
    """Every finding, the most basic first.

    Args:
        system: where ``/sys`` is.
        devices: where ``/dev`` is.
    """
    with ThreadPoolExecutor() as pool:
        trials = pool.submit(_runtimes)
        found: list[Check] = []
        for look in (_python, _edgecnn):
            found += look()
        others = [*_opencv(), *_build(), *_cameras(devices), *_board(system), *_places()]
        return (*found, *trials.result(), *others)


def as_json(checks: tuple[Check, ...]) -> dict[str, Any]:
    """The findings as a document; ``ok`` says that nothing failed."""
    return {
        "schema": 1,
        "ok": all(each.level != "fail" for each in checks),
        "checks": [asdict(each) for each in checks],
    }


def _python() -> Iterator[Check]:
    version, here = platform.python_version(), sys.version_info[:2]
    fits = _OLDEST <= here <= _NEWEST
    level: Level = "ok" if fits else "fail"
    yield Check(
        name="Python",
        level=level,
        found=f"{version}, {sys.executable}",
        advice=None if fits else f"take Python {_OLDEST[0]}.{_OLDEST[1]} to {_NEWEST[0]}.{_NEWEST[1]}",
    )
    bits, board = struct.calcsize("P") * 8, host_facts()["board"]
    advice = "take a 64-bit system: 32-bit ones have no wheels of LiteRT, OpenCV or numpy"
    yield Check(
        name="system",
        level="ok" if bits == 64 else "fail",
        found=f"{f'{board}, ' if board else ''}{platform.system()} {platform.machine()}, {bits} bits",
        advice=None if bits == 64 else advice,
    )


def _edgecnn() -> Iterator[Check]:
    yield Check(name="edgecnn", level="ok", found=f"{edgecnn.__version__}, {Path(edgecnn.__file__).parent}")


def _runtimes() -> list[Check]:
    """Of each runtime that is installed, whether it runs; LiteRT belongs to every installation."""
    try:
        from edgecnn.targets import TARGETS
    except ImportError as error:  # OpenCV or numpy, without which no frame is brought to a network's size
        return [Check(name="runtime", level="fail", found=f"none can be tried: {error}", advice="mend that first")]
    names = [name for name, target in TARGETS.items() if target.installed() and name != "tensorflow"]
    with ThreadPoolExecutor() as pool:
        checks = list(pool.map(_runtime, names))
    if all(check.level != "ok" for check in checks):
        checks = [Check(**{**asdict(check), "level": "fail"}) for check in checks] or [
            Check(name="runtime", level="fail", found="none is installed", advice="pip install ai-edge-litert")
        ]
    return checks


def _runtime(name: str) -> Check:
    try:
        trial = subprocess.run(
            [sys.executable, "-c", _TRIAL, name], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        said, right = f"no answer in {_TIMEOUT_S:.0f} s", False
    else:
        right = trial.returncode == 0
        lines = (trial.stdout if right else trial.stderr).strip().splitlines()
        said = lines[-1] if lines else f"it crashes (exit code {trial.returncode})"
    if right:
        return Check(name=name, level="ok", found=f"{said} runs a model")
    extra = name if name in ("tflite-runtime", "openvino") else None
    advice = f"pip install 'edgecnn[{extra}]' again, or do without it" if extra else "pip install edgecnn again"
    return Check(name=name, level="warn", found=f"installed, and does not run: {said}", advice=advice)


def _opencv() -> Iterator[Check]:
    kinds = [name for name in ("opencv-python", "opencv-python-headless") if _version(name)]
    try:
        import cv2
    except ImportError as error:
        advice = "pip install --force-reinstall opencv-python-headless (opencv-python needs libGL)"
        yield Check(name="OpenCV", level="fail", found=f"cannot be imported: {error}", advice=advice)
        return
    found = f"{cv2.__version__}, {' and '.join(kinds) or 'of another origin'}"
    if len(kinds) > 1:
        yield Check(name="OpenCV", level="warn", found=found, advice="both write to one folder: pip uninstall one")
    elif kinds == ["opencv-python"]:
        yield Check(name="OpenCV", level="ok", found=f"{found}: --view window works")
    else:
        yield Check(name="OpenCV", level="ok", found=f"{found}: no --view window, all else works")


def _build() -> Iterator[Check]:
    """What a build needs, by the versions that are installed; an installation for a device has none of it."""
    versions = {name: _version(name) for name in _BUILD}
    versions["tensorflow"] = versions["tensorflow"] or _version("tensorflow-cpu")
    there = {name: version for name, version in versions.items() if version}
    if not there:
        yield Check(name="build", level="ok", found="not installed, and not needed to run models")
        return
    found = ", ".join(f"{name} {version}" for name, version in there.items())
    install = "pip install 'edgecnn[build]'"
    if missing := [name for name in _BUILD if name not in there]:
        yield Check(name="build", level="fail", found=f"{found}; not {', '.join(missing)}", advice=install)
    elif _minor(there["tensorflow"]) != _minor(there["tf-keras"]):
        advice = f"tf-keras goes with the tensorflow of its own version: {install}"
        yield Check(name="build", level="fail", found=found, advice=advice)
    elif sys.version_info[:2] > _NEWEST_BUILD:
        yield Check(name="build", level="warn", found=found, advice="a build takes Python 3.10 to 3.13")
    else:
        yield Check(name="build", level="ok", found=found)
    if (keras := os.environ.get("TF_USE_LEGACY_KERAS")) not in (None, "1", "true", "True"):
        found = f"TF_USE_LEGACY_KERAS={keras} is set; a build sets it to 1 for itself"
        yield Check(name="Keras", level="warn", found=found, advice="unset it: a build takes Keras 2")


def _cameras(devices: Path) -> Iterator[Check]:
    paths = sorted(devices.glob("video*"))
    closed = [path.name for path in paths if not os.access(path, os.R_OK | os.W_OK)]
    if closed:
        found, advice = f"this user may not open {', '.join(closed[:4])}", "sudo usermod -aG video $USER; log in again"
        yield Check(name="group video", level="warn", found=found, advice=advice)
    try:
        from edgecnn.device import picamera, usb

        usable, own = usb.devices(), list[str]()
        with suppress(Exception):  # picamera2 is the system's, and raises what libcamera does
            own = picamera.cameras() if paths else []
    except ImportError as error:
        yield Check(name="cameras", level="fail", found=str(error), advice="pip install edgecnn again")
        return
    found_all = [*(f"csi:{number} ({name})" for number, name in enumerate(own)), *usable]
    advice = "plug one in, or demo --camera synthetic; a Pi's own camera needs python3-picamera2 (apt)"
    yield Check(
        name="cameras",
        level="ok" if found_all else "warn",
        found=", ".join(found_all) or "none found",
        advice=None if found_all else advice,
    )


def _board(system: Path) -> Iterator[Check]:
    """Heat, power and clock: what makes a board slower than it is; nothing of what the computer does not say."""
    now = Snapshot.take(system=system)
    if now.throttled is not None:
        advice = "take the power supply made for the board, and cool it" if now.throttled else None
        found = ", ".join(now.throttled) or "nothing slows the board down"
        yield Check(name="throttling", level="warn" if now.throttled else "ok", found=found, advice=advice)
    if now.temperature_c is not None:
        hot = now.temperature_c >= _HOT_C
        advice = "cool it: it slows down from 80 °C on" if hot else None
        found = f"{now.temperature_c:.0f} °C"
        yield Check(name="temperature", level="warn" if hot else "ok", found=found, advice=advice)
    if now.governor is not None:
        slow = now.governor == "powersave"
        advice = "performance, for figures: write it to scaling_governor of every core" if slow else None
        yield Check(name="governor", level="warn" if slow else "ok", found=now.governor, advice=advice)


def _places() -> Iterator[Check]:
    if _version("tensorflow") or _version("tensorflow-cpu"):
        yield _cache()
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    little = free < _LEAST_GB
    advice = "free some: a build takes about 5 GB, a recording what you let it" if little else None
    found = f"{free:.1f} GB free here"
    yield Check(name="disk", level="warn" if little else "ok", found=found, advice=advice)
    ssh = shutil.which("ssh")
    advice = None if ssh else "install an SSH client (openssh-client) to reach a Pi from here"
    yield Check(name="ssh", level="ok" if ssh else "warn", found=ssh or "there is none", advice=advice)


def _cache() -> Check:
    """Where a build keeps its stages: it must be able to write there."""
    try:
        from platformdirs import user_cache_path
    except ImportError as error:
        return Check(name="cache", level="fail", found=str(error), advice="pip install 'edgecnn[build]'")
    folder = Path(os.environ.get("EDGECNN_CACHE") or user_cache_path("edgecnn"))
    there = next(each for each in (folder, *folder.resolve().parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            free = shutil.disk_usage(there).free / 1e9
    except OSError as error:
        advice = "set EDGECNN_CACHE to a folder that this user may write to"
        return Check(name="cache", level="fail", found=f"{folder}: {error.strerror}", advice=advice)
    if free < _BUILD_GB:
        return Check(
            name="cache", level="warn", found=f"{folder}, {free:.1f} GB free", advice="a build takes about 5 GB"
        )
    return Check(name="cache", level="ok", found=f"{folder}, {free:.0f} GB free")


def _version(package: str) -> str | None:
    with suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return None


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]
