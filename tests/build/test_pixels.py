"""Decoded images on disk: the same bytes however they came there, and little memory."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.build import pixels
from edgecnn.build.cache import Cache
from edgecnn.errors import DataError, DeviceError
from edgecnn.images import UnreadableImage
from edgecnn.preprocess import InputSpec, Pixels

SPEC = InputSpec(height=4, width=5)


def frame(index: int) -> Pixels:
    """An image that is brought to the size; every seventh cannot be read."""
    if index % 7 == 3:
        raise UnreadableImage(f"{index} is odd")
    return np.random.default_rng(index).integers(0, 256, (9, 11, 3), np.uint8)


def decoded(cache: Cache, progress: Any, *, count: int = 40, read: Any = frame, spec: InputSpec = SPEC) -> Any:
    return pixels.decoded("content", count, read, spec, note="reading", progress=progress, cache=cache)


def never(index: int) -> Pixels:
    raise AssertionError("decoded again")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def test_images_come_back_as_arrays_in_every_way_of_asking(cache: Cache, progress: Any) -> None:
    stored, reasons = decoded(cache, progress)
    assert [index for index, reason in enumerate(reasons) if reason] == [3, 10, 17, 24, 31, 38]
    truth = np.stack([SPEC.apply(frame(index)) for index in range(40) if not reasons[index]])
    assert stored.shape == truth.shape == (34, 4, 5, 3)
    assert np.array_equal(np.asarray(stored), truth)
    assert np.array_equal(stored[np.array([7, 0, 7])], truth[[7, 0, 7]])
    assert np.array_equal(stored[5], truth[5])
    assert np.array_equal(stored[-3:], truth[-3:])
    assert np.array_equal(np.stack(list(stored)), truth)
    some = stored.of([9, 2, 4])
    del stored
    assert np.array_equal(some[1:], truth[[2, 4]])
    assert some.of([]).shape == (0, 4, 5, 3)


def test_what_was_decoded_is_not_decoded_again(cache: Cache, progress: Any) -> None:
    first, _ = decoded(cache, progress)
    again, reasons = decoded(cache, progress, read=never)
    assert np.array_equal(first[:], again[:])
    assert reasons[3] == "3 is odd"


@pytest.mark.parametrize(
    "spec",
    [
        InputSpec(height=5, width=4),
        InputSpec(height=4, width=5, channels=1),
        InputSpec(height=4, width=5, resize="center_crop"),
    ],
)
def test_another_input_is_decoded_for_itself(cache: Cache, progress: Any, spec: InputSpec) -> None:
    decoded(cache, progress)
    stored, _ = decoded(cache, progress, spec=spec)
    assert np.array_equal(stored[0], spec.apply(frame(0)))


def test_the_meaning_of_a_pixel_changes_no_pixel(cache: Cache, progress: Any) -> None:
    decoded(cache, progress)
    decoded(cache, progress, spec=InputSpec(height=4, width=5, scale=1 / 255, zero_point=0), read=never)


KILLED = """
import os, sys
from pathlib import Path
from edgecnn.build import pixels
from edgecnn.build.cache import Cache
from tests.build.test_pixels import SPEC, frame
class Quiet:
    def update(self, done, total, note=""):
        if done >= 32:
            print("half", flush=True)
            sys.stdin.read()
    def say(self, message): pass
pixels.decoded("content", 2000, frame, SPEC, note="", progress=Quiet(), cache=Cache(Path(sys.argv[1])))
"""


def kill_half_way(cache: Cache) -> None:
    command = [sys.executable, "-c", KILLED, str(cache.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as run:
        assert run.stdout
        assert run.stdout.readline() == b"half\n"
        os.kill(run.pid, signal.SIGKILL)


@pytest.mark.parametrize("torn", [False, True])
def test_a_killed_decode_goes_on_and_ends_in_the_same_bytes(
    cache: Cache, progress: Any, tmp_path: Path, torn: bool
) -> None:
    kill_half_way(cache)
    (part,) = cache.root.glob("pixels-*.part")
    if torn:  # killed while a block was written
        for path in part.iterdir():
            with path.open("ab") as file:
                file.write(b'"')
    read: list[int] = []

    def noted(index: int) -> Pixels:
        read.append(index)
        return frame(index)

    resumed, _ = decoded(cache, progress, count=2000, read=noted)
    assert min(read) == 1024
    assert "1024 of 2000 images were decoded before" in progress.lines
    whole, _ = decoded(Cache(tmp_path / "other"), progress, count=2000)
    assert np.array_equal(resumed[:], whole[:])
    assert not part.exists()


@pytest.mark.parametrize(("name", "damage"), [("pixels.u8", b""), ("left-out.jsonl", b"\0\0\n")])
def test_a_half_whose_files_do_not_agree_starts_again(
    cache: Cache, progress: Any, tmp_path: Path, name: str, damage: bytes
) -> None:
    kill_half_way(cache)
    (part,) = cache.root.glob("pixels-*.part")
    (part / name).write_bytes(damage)
    resumed, _ = decoded(cache, progress, count=2000)
    assert progress.lines == []
    whole, _ = decoded(Cache(tmp_path / "other"), progress, count=2000)
    assert np.array_equal(resumed[:], whole[:])


def test_a_set_that_was_cut_short_is_made_anew(cache: Cache, progress: Any) -> None:
    stored, _ = decoded(cache, progress)
    truth = stored[:]
    (file,) = cache.root.glob("pixels-*/pixels.u8")
    os.truncate(file, 100)
    with pytest.raises(DeviceError, match="cut short"):
        stored[30]
    assert np.array_equal(decoded(cache, progress)[0][:], truth)


def test_what_was_not_used_for_longest_goes_and_what_is_open_stays_readable(
    cache: Cache, progress: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [InputSpec(height=4, width=width) for width in (5, 6, 7)]
    oldest, _ = decoded(cache, progress, spec=sizes[0])
    truth = oldest[:]
    decoded(cache, progress, spec=sizes[1])
    for number, spec in enumerate(sizes[:2]):
        os.utime(folder(cache, spec), (number, number))
    monkeypatch.setattr(pixels, "LIMIT_BYTES", 34 * 4 * 3 * (6 + 7) + 2000)
    decoded(cache, progress, spec=sizes[2])
    assert [folder(cache, spec).exists() for spec in sizes] == [False, True, True]
    assert np.array_equal(oldest[:], truth)


def folder(cache: Cache, spec: InputSpec) -> Path:
    return cache.root / f"pixels-{pixels._key('content', spec)}"


def test_an_error_that_is_no_images_fault_is_not_swallowed(cache: Cache, progress: Any) -> None:
    def read(index: int) -> Pixels:
        raise DataError("changed", remedy="again")

    with pytest.raises(DataError, match="changed"):
        decoded(cache, progress, read=read)
