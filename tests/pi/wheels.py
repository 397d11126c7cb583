"""The aarch64 wheels of exactly the locked versions that the device side, and its tests, need."""

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REQUIREMENTS = Path(__file__).parents[2] / "requirements"
TEST_TOOLS = ("pytest", "pillow", "filelock", "platformdirs")  # of the last two is the build's data, for manifests
GLIBC = (17, 24, 26, 27, 28, 31, 34, 35, 36)  # bookworm has 2.36


def locked(lock: Path, environment: dict[str, str]) -> dict[str, str]:
    """What a lock file holds for that environment: names, and for each its version with all hashes.

    Without markers, for pip would read them as those of the Python that it runs in.
    """
    entries = re.split(r"\n(?=\S)", lock.read_text().strip())
    parsed = [(Requirement(first.removesuffix("\\")), rest) for first, _, rest in (e.partition("\n") for e in entries)]
    return {
        canonicalize_name(requirement.name): f"{requirement.name}{requirement.specifier} \\\n{hashes}"
        for requirement, hashes in parsed
        if requirement.marker is None or requirement.marker.evaluate(environment)
    }


def needed(names: tuple[str, ...], environment: dict[str, str]) -> set[str]:
    """These packages and all that they need, as the packages that are installed here say it."""
    found: set[str] = set()
    waiting = [Requirement(name) for name in names]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found and not requirement.extras:
            continue
        found.add(name)
        extras = ["", *requirement.extras]
        waiting += [
            each
            for each in map(Requirement, _requires(name))
            if each.marker is None or any(each.marker.evaluate({**environment, "extra": extra}) for extra in extras)
        ]
    return found - {"edgecnn"}


def _requires(name: str) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError:  # tflite-runtime, which TensorFlow's numpy keeps away; its lock is complete
        return []


def requirements(python: str, runtime: str) -> str:
    """A requirements file, pinned and hashed, for a Pi with that Python and that runtime as the lock files have it."""
    environment = _environment(python)
    pins = locked(REQUIREMENTS / "universal.lock", environment)
    names = needed((_extra(runtime), *TEST_TOOLS), environment)
    if runtime != "litert":
        pins |= locked(REQUIREMENTS / f"{runtime}.lock", environment)
        names |= set(locked(REQUIREMENTS / f"{runtime}.lock", environment))
    return "\n".join(pins[name] for name in sorted(names)) + "\n"


def installed_size(folder: Path, python: str, runtime: str) -> int:
    """Bytes of what a user's installation has of what is in the folder: no test tools, and no byte code."""
    names = needed((_extra(runtime),), _environment(python))
    wanted = [each for each in distributions(path=[str(folder)]) if canonicalize_name(each.metadata["Name"]) in names]
    paths = {Path(str(file.locate())) for each in wanted for file in each.files or ()}
    return sum(path.stat().st_size for path in paths if path.suffix != ".pyc" and path.exists())


def _extra(runtime: str) -> str:
    return "edgecnn" if runtime == "litert" else f"edgecnn[{runtime}]"


def _environment(python: str) -> dict[str, str]:
    return {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "platform_machine": "aarch64",
        "sys_platform": "linux",
        "os_name": "posix",
    }


def install(requirements_file: Path, python: str, folder: Path) -> None:
    """Unpack the wheels into a folder. None of their code runs."""
    platforms = [f"--platform=manylinux_2_{minor}_aarch64" for minor in GLIBC] + ["--platform=manylinux2014_aarch64"]
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"),
        *("--only-binary=:all:", "--implementation=cp", f"--python-version={python}", *platforms),
        *("--no-deps", "--ignore-requires-python"),  # which would be those of the Python that pip runs in
        *("--require-hashes", "--requirement", str(requirements_file), "--target", str(folder)),
    ]
    run(command)


def run(command: list[str]) -> str:
    """What a command prints; where it fails, its stderr is the error."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed with {done.returncode}: {done.stderr[-3000:]}")
    return done.stdout
