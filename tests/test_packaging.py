"""The lock files: pinned, hashed, without addresses, and inside the ranges that pyproject.toml admits."""

import re
from importlib.metadata import requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import edgecnn

LOCKS = sorted(Path(__file__).parent.parent.joinpath("requirements").glob("*.lock"))


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


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_what_is_declared_admits_what_is_locked(lock: Path) -> None:
    declared = [Requirement(text) for text in requires("edgecnn") or []]
    locked = {(pin.name.lower(), str(pin.specifier).removeprefix("==")) for pin in pinned(lock)}
    for requirement in declared:
        versions = [number for name, number in locked if name == requirement.name.lower()]
        assert all(requirement.specifier.contains(number) for number in versions), requirement
        if requirement.marker is None:
            assert versions, f"{requirement.name} is in no lock"


def test_the_device_side_needs_no_tensorflow() -> None:
    base = [Requirement(text).name for text in requires("edgecnn") or [] if "extra ==" not in text]
    assert sorted(base) == ["ai-edge-litert", "click", "flatbuffers", "numpy", "opencv-python-headless", "rich"]


def test_the_version_is_the_package_s() -> None:
    assert edgecnn.__version__ == version("edgecnn")
