"""One command of edgecnn on another computer: what it reads goes there, what it says and makes comes back."""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from edgecnn.errors import DataError
from edgecnn.files import check_folder, replacing
from edgecnn.progress import Progress
from edgecnn.remote import there
from edgecnn.remote.host import connected

_PIECE = 1 << 18


@dataclass(frozen=True, kw_only=True)
class Ran:
    """How a command ended there.

    Attributes:
        code: its exit code.
        document: the JSON that it printed; empty where its stdout went elsewhere, or it printed none.
    """

    code: int
    document: dict[str, Any]

    def renamed(self, names: Mapping[str, str]) -> "Ran":
        """With other names of files wherever it has these, or paths below them."""
        return replace(self, document=_renamed(self.document, names))


def ran(
    host: str,
    words: Sequence[str],
    *,
    progress: Progress,
    models: Mapping[str, bytes],
    files: Mapping[str, Path] | None = None,
    made: Mapping[str, Path] | None = None,
    added: Collection[str] = (),
    forward: int | None = None,
    stdout: IO[bytes] | None = None,
) -> Ran:
    """Run ``edgecnn WORDS`` on another computer, set it up where it is not, and stop what runs there with Ctrl-C.

    Args:
        host: as ssh takes it.
        words: the command; its models and files are named as below.
        progress: where to say what takes long before it begins.
        models: bytes by the name that the command has for them; they are kept there, by hash, for the next use.
        files: files by the names that the command has for them; they are removed there after it.
        made: where what it leaves in ``made/`` goes, by its name there; of a folder all that is in it. Where its stderr
            has these names, it is these places that are shown.
        added: those of them that are added to what is here already, in the place of being put there instead.
        forward: a port of its loopback that becomes one of this computer's.
        stdout: where its stdout goes; None catches it.

    Raises:
        UsageError, DeviceError: see `connected`; or the link was cut, or what is made could not be written here.
        DataError: a file changed while it was sent.
    """
    for place in (made or {}).values():
        check_folder(place.parent)
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in models.items()}
    by_hash = {hashes[name]: data for name, data in models.items()}
    sizes = {name: path.stat().st_size for name, path in (files or {}).items()}
    caught: list[bytes] = []

    def show(kind: bytes, data: bytes) -> None:
        if kind == there.OUT and stdout is None:
            caught.append(data)
        elif kind == there.OUT and stdout is not None:
            stdout.write(data)
            stdout.flush()
        elif kind == there.ERR:
            for name, place in (made or {}).items():
                data = data.replace(f"made/{name}".encode(), os.fsencode(place))
            sys.stderr.buffer.write(data)
            sys.stderr.flush()

    with connected(host, progress, models=by_hash, forward=forward) as here:
        result = here.link.ask(
            "run",
            _sent(files or {}, sizes, progress),
            show,
            venv=here.venv,
            words=list(words),
            models=hashes,
            files=list(sizes.items()),
            screen=_screen(),
            environment=_environment(),
        )
        for path, size in result["made"]:
            _fetch(here.link.ask, path, size, made or {}, added, progress)
    return Ran(code=result["code"], document=_parsed(b"".join(caught)))


def _parsed(printed: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(printed))
    except ValueError:
        return {}


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(each, names) for key, each in value.items()}
    if isinstance(value, list):
        return [_renamed(each, names) for each in value]
    if isinstance(value, str):
        for name, other in names.items():
            if value == name or value.startswith((f"{name}/", f"{name}, ")):
                return other + value[len(name) :]
    return value


def _sent(files: Mapping[str, Path], sizes: Mapping[str, int], progress: Progress) -> Iterator[bytes]:
    total, done = sum(sizes.values()), 0
    for name, path in files.items():
        left = sizes[name]
        with path.open("rb") as file:
            while left and (piece := file.read(min(_PIECE, left))):
                yield piece
                left, done = left - len(piece), done + len(piece)
                progress.update(done, total, "sending files")
        if left:
            raise DataError(
                f"{path} changed while it was sent.",
                received=f"{left} bytes less than it had",
                accepted="files that nobody changes meanwhile",
                remedy="run the command again",
            )


def _fetch(
    ask: Any, path: str, size: int, made: Mapping[str, Path], added: Collection[str], progress: Progress
) -> None:
    """A file that was made there, to where it belongs here."""
    inside = Path(path).relative_to("made")
    place = made[inside.parts[0]].joinpath(*inside.parts[1:])
    done = 0
    with replacing(place) as beside, beside.open("wb") as file:
        if inside.parts[0] in added and place.is_file():
            file.write(place.read_bytes())

        def take(kind: bytes, data: bytes) -> None:
            nonlocal done
            file.write(data)
            done += len(data)
            progress.update(done, size, f"fetching {place.name}")

        ask("get", (), take, path=path)


def _screen() -> tuple[int, int] | None:
    """The terminal that stderr is; what runs there then has one as large."""
    if not sys.stderr.isatty():
        return None
    size = shutil.get_terminal_size()
    return size.columns, size.lines


def _environment() -> dict[str, str]:
    """What a program asks of a terminal; and a width, for what is no terminal there and is one here."""
    kept = {name: os.environ[name] for name in ("TERM", "COLORTERM", "NO_COLOR") if name in os.environ}
    return {**kept, "PYTHONUNBUFFERED": "1", "COLUMNS": str(shutil.get_terminal_size().columns)}
