"""The lock files: pinned, hashed, without addresses, and inside the ranges that pyproject.toml admits."""

import re
from importlib.metadata import requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import edgecnn

ROOT = Path(__file__).parent.parent
BUILD_SIDE = ("build", "dev", "pretrained", "ethos", "micro", "openvino")
LOCKS = sorted(ROOT.joinpath("requirements").glob("*.lock"))


def pinned(lock: Path) -> list[Requirement]:
    """The requirements of a lock file; each ends before its hashes."""
    lines = [line for line in lock.read_text().splitlines() if not line.startswith(("    --hash", "#"))]
    return [Requirement(line.removesuffix("\\").strip()) for line in lines]


def test_there_are_two_locks() -> None:
    assert [lock.stem for lock in LOCKS] == ["tflite-runtime", "universal"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_holds_no_address_and_no_path(lock: Path) -> None:
    assert not re.search(r"://|index-url|find-links|(?m:^/)| /\w", lock.read_text())


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_requirement_is_pinned_and_hashed(lock: Path) -> None:
    for entry in re.split(r"\n(?=\S)", lock.read_text().strip()):
        assert re.match(r"[\w.\[\]-]+==[\w.]+", entry)
        assert "--hash=sha256:" in entry


@pytest.mark.parametrize(
    ("stem", "python", "extras"),
    [("universal", python, BUILD_SIDE) for python in ("3.10", "3.11", "3.12", "3.13")]
    + [("tflite-runtime", python, ("tflite-runtime",)) for python in ("3.10", "3.11")],
)
def test_what_is_declared_admits_what_is_locked(stem: str, python: str, extras: tuple[str, ...]) -> None:
    here = {"python_version": python, "python_full_version": f"{python}.1", "sys_platform": "linux"}
    locked = {
        pin.name: str(pin.specifier).removeprefix("==")
        for pin in pinned(ROOT / "requirements" / f"{stem}.lock")
        if pin.marker is None or pin.marker.evaluate(here)
    }
    for requirement in (Requirement(text) for text in requires("edgecnn") or []):
        if requirement.marker is None or any(requirement.marker.evaluate({**here, "extra": name}) for name in extras):
            assert requirement.name in locked, f"{requirement.name} is not in {stem}.lock for {python}"
            assert requirement.specifier.contains(locked[requirement.name]), f"{requirement} for {python}"


def test_the_device_side_needs_no_tensorflow() -> None:
    base = [Requirement(text).name for text in requires("edgecnn") or [] if "extra ==" not in text]
    runs_models = ["ai-edge-litert", "click", "flatbuffers", "numpy", "opencv-python-headless", "rich"]
    assert sorted(base) == [*runs_models, "segno", "starlette", "uvicorn"]


def test_the_version_is_the_package_s() -> None:
    assert edgecnn.__version__ == version("edgecnn")
