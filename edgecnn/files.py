"""Writing files so that nothing is ever half-written: beside first, then renamed."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgecnn.errors import DeviceError, UsageError

_NOT_A_PLACE = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENAMETOOLONG,
    errno.ELOOP,
)
_ELSEWHERE = "choose another place, or another user"


def write_atomically(path: Path, data: bytes, *, mode: int | None = None) -> None:
    """Write ``data`` to ``path``: afterwards the file holds either all of it or what it held before.

    Args:
        path: where.
        data: what.
        mode: of the file, from before there is anything in it; None for that of all new files.

    Raises:
        DeviceError: the disk is full.
        UsageError: the place cannot be written to.
    """
    with replacing(path) as beside:
        if mode is not None:
            beside.touch()
            beside.chmod(mode)
        beside.write_bytes(data)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to; on a clean end it takes the place of ``path``, otherwise it is removed.

    Raises:
        DeviceError: the disk is full.
        UsageError: the place cannot be written to.
    """
    beside = path.with_name(f".{path.name}.part")
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield beside
            with beside.open("rb") as written:
                os.fsync(written.fileno())  # else a power cut may leave the new name with nothing behind it
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)


@contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Turn what the operating system says while ``path`` is written into an error with a remedy.

    Raises:
        DeviceError: the disk is full.
        UsageError: the place cannot be written to.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise DeviceError(
                f"No space left to write {path}.",
                received=error.strerror,
                remedy="free some space, or choose another place; EDGECNN_CACHE says where a build keeps what it has "
                "finished, and the same build then goes on where it stopped",
            ) from error
        if error.errno in _NOT_A_PLACE:
            raise UsageError(
                f"{path} cannot be written.",
                received=error.strerror,
                accepted="a place this user may write to",
                remedy=_ELSEWHERE,
            ) from error
        raise


def check_folder(path: Path) -> None:
    """Make sure, before any work, that files can be written in a folder, which need not be there yet.

    Raises:
        UsageError: it is a file, or this user may not write there.
    """
    there = next(each for each in (path.absolute(), *path.absolute().parents) if each.exists())
    reason = None if there.is_dir() else f"{there} is a file"
    if reason is None and not os.access(there, os.W_OK | os.X_OK):
        reason = f"this user may not write in {there}"
    if reason:
        raise UsageError(
            f"Nothing can be written in {path}.",
            received=reason,
            accepted="a folder that this user may write in, or a place for one",
            remedy=_ELSEWHERE,
        )
