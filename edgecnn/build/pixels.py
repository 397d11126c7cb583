"""Images at the network's size on disk: decoded once, then read as they are needed.

``CACHE/pixels-KEY/`` holds one file of raw pixels, and why each image that is not in it was left out. Its key hashes
the images, in order, the network's input, the code of the preprocessing and OpenCV's version. A decode that was
killed goes on behind the last block of images that is on disk. Of all that was decoded the last used `LIMIT_BYTES`
are kept, and always the set in use: the rest is made again when it is asked for.

The file is read, not mapped: pages of a mapped file count as the program's memory, and one that was cut short kills it.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecnn import images, preprocess
from edgecnn.build.cache import Cache
from edgecnn.build.recipe import Artifact
from edgecnn.errors import DeviceError
from edgecnn.files import write_atomically, writing_to
from edgecnn.images import UnreadableImage
from edgecnn.latency import available_cores
from edgecnn.preprocess import InputSpec, Pixels
from edgecnn.progress import Progress

LIMIT_BYTES = 20 * 10**9
_PREFIX, _PIXELS, _REASONS = "pixels-", "pixels.u8", "left-out.jsonl"
_BLOCK_BYTES = 2**25  # of decoded images that wait in memory to be written
Result = TypeVar("Result")


class Rows(Protocol):
    """Images (n, height, width, channels), uint8: an array, or `Stored` ones."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, height, width, channels)."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> Any:
        """The chosen ones as an array: by a number, a slice, or an array of numbers."""

    def __iter__(self) -> Iterator[Any]: ...


class _File:
    """An open file that is closed with the last of the images that are read from it."""

    def __init__(self, path: Path) -> None:
        self.path, self.descriptor = path, os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        os.close(self.descriptor)


@dataclass(frozen=True, eq=False)
class Stored:
    """Images in a file, in any order, read when they are asked for; see `Rows`.

    Attributes:
        file: raw pixels, image behind image.
        image: (height, width, channels) of each.
        rows: their places in the file, (n,) int64.
    """

    file: _File
    image: tuple[int, int, int]
    rows: NDArray[np.int64]
    dtype: ClassVar[np.dtype[np.uint8]] = np.dtype(np.uint8)

    @classmethod
    def open(cls, path: Path, image: tuple[int, int, int]) -> "Stored":
        """All images of a file."""
        return cls(_File(path), image, np.arange(path.stat().st_size // math.prod(image)))

    def of(self, chosen: Sequence[int] | NDArray[np.int64]) -> "Stored":
        """These of them."""
        return replace(self, rows=self.rows[np.asarray(chosen, np.int64)])

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, height, width, channels)."""
        return len(self.rows), *self.image

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Pixels]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: Any, /) -> Pixels:
        rows, size = np.asarray(self.rows[index]), math.prod(self.image)
        pixels = np.empty((*rows.shape, *self.image), np.uint8)
        for row, image in zip(rows.ravel().tolist(), pixels.reshape(-1, size), strict=True):
            if os.preadv(self.file.descriptor, [image.data], row * size) != size:
                raise DeviceError(
                    f"The decoded images in {self.file.path} were cut short.",
                    remedy="run the command again: they are decoded anew",
                )
        return pixels

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self[:].astype(dtype or self.dtype, copy=False)


def decoded(
    content: object,
    count: int,
    read: Callable[[int], Pixels],
    spec: InputSpec,
    *,
    note: str,
    progress: Progress,
    cache: Cache,
) -> tuple[Stored, list[str]]:
    """Images at the network's size, from the cache where they were decoded before.

    Args:
        content: JSON of all that decides what ``read`` gives, beside the code of the preprocessing.
        count: how many there are.
        read: one of them: RGB, (any height, any width, 3), uint8. Called in several threads.
        spec: what they are brought to.
        note: what is done, for the progress.
        progress: told how far it is.
        cache: where they are kept.

    Returns:
        Those that could be read, in order, and one reason for each of all: empty, or why it could not.

    Raises:
        DeviceError: the disk is full.
        UsageError: the cache cannot be written to.
    """
    key = _PREFIX + _key(content, spec)
    with cache.locked(key, progress):
        if (artifact := cache.find(key)) is None:
            workspace = cache.workspace(key)
            with writing_to(workspace):
                _decode(workspace, count, lambda index: spec.apply(read(index)), spec, note, progress)
            files = {name: workspace / name for name in (_PIXELS, _REASONS)}
            artifact = cache.keep(Artifact(kind="pixels", files=files, key=key))
        os.utime(cache.root / key)
        _make_room(cache, key)
        reasons = _reasons(artifact.files[_REASONS])
        return Stored.open(artifact.files[_PIXELS], spec.shape), reasons


def _key(content: object, spec: InputSpec) -> str:
    size = {name: value for name, value in asdict(spec).items() if name not in ("scale", "zero_point")}
    code = [hashlib.sha256(Path(str(module.__file__)).read_bytes()).hexdigest() for module in (images, preprocess)]
    return hashlib.sha256(json.dumps([content, size, code, cv2.__version__]).encode()).hexdigest()[:32]


def _decode(
    workspace: Path, count: int, read: Callable[[int], Pixels], spec: InputSpec, note: str, progress: Progress
) -> None:
    """Append block after block, the pixels first: what the reasons count is on disk, whatever ends the program."""
    size = math.prod(spec.shape)
    done = _resumed(workspace, size)
    if done:
        progress.say(f"{len(done)} of {count} images were decoded before")

    def attempt(index: int) -> tuple[Pixels | None, str]:
        try:
            return read(index), ""
        except UnreadableImage as error:
            return None, str(error)

    with (workspace / _PIXELS).open("ab") as pixels, (workspace / _REASONS).open("a") as reasons:
        pixels.truncate(done.count("") * size)
        for start, block in in_blocks(attempt, range(len(done), count), block=max(16, min(1024, _BLOCK_BYTES // size))):
            pixels.writelines(image.tobytes() for image, _ in block if image is not None)
            pixels.flush()
            os.fsync(pixels.fileno())
            reasons.writelines(json.dumps(reason) + "\n" for _, reason in block)
            reasons.flush()
            progress.update(start + len(block), count, note)


def _resumed(workspace: Path, size: int) -> list[str]:
    """The reasons of what a killed decode left; none where its files are not whole."""
    try:
        done = _reasons(workspace / _REASONS)
        whole = (workspace / _PIXELS).stat().st_size >= done.count("") * size
    except (OSError, ValueError):
        whole = False
    done = done if whole else []
    write_atomically(workspace / _REASONS, "".join(json.dumps(reason) + "\n" for reason in done).encode())
    return done


def _reasons(path: Path) -> list[str]:
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


def in_blocks(
    work: Callable[[int], Result], indices: range, *, block: int = 1024
) -> Iterator[tuple[int, list[Result]]]:
    """Results in order, by threads (OpenCV works outside Python's lock), and no more than a block of them at once."""
    with ThreadPoolExecutor(available_cores()) as pool:
        for start in range(0, len(indices), block):
            some = indices[start : start + block]
            yield some[0], list(pool.map(work, some))


def _make_room(cache: Cache, used: str) -> None:
    """Remove what was not used for longest; a build that reads it has it open, and goes on."""
    with suppress(FileNotFoundError):  # another build makes room, too
        sizes = {path: _bytes(path) for path in cache.root.glob(f"{_PREFIX}*") if path.is_dir() and path.name != used}
        room = LIMIT_BYTES - _bytes(cache.root / used)
        for folder in sorted(sizes, key=lambda path: path.stat().st_mtime, reverse=True):
            room -= sizes[folder]
            if room < 0:
                cache.discard(folder.name.removesuffix(".part"))


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())
