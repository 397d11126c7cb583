"""``bench``, ``evaluate`` and ``demo`` on another computer, with names of this one in what they say."""

import hashlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgecnn.bundle import Bundle
from edgecnn.errors import UsageError
from edgecnn.images import class_folders
from edgecnn.progress import Progress
from edgecnn.remote.host import connected
from edgecnn.remote.run import Ran, ran


def bench(
    host: str,
    models: Sequence[Path],
    *,
    progress: Progress,
    pictures: Mapping[str, Path | None] | None = None,
    **options: Any,
) -> Ran:
    """``edgecnn bench --json`` there.

    Args:
        host: as ssh takes it.
        models: files of this computer.
        progress: where to say what takes long before it begins.
        pictures: where they go, here, by the options that ask for them; None asks for none.
        options: of the command, by their names; None is left out.

    Raises:
        UsageError, BundleError, DeviceError: see `ran`; and what is wrong with a file is said before.
    """
    names = {f"{number}/{path.name}": path for number, path in enumerate(models)}
    made = {f"{option}{path.suffix}": path for option, path in (pictures or {}).items() if path}
    drawn = {Path(picture).stem: f"made/{picture}" for picture in made}
    result = ran(
        host,
        ["bench", *_options({**options, **drawn}), "--json", "--", *names],
        progress=progress,
        models={name: Bundle.read(path).data for name, path in names.items()},
        made=made,
    )
    return result.renamed({name: str(path) for name, path in names.items()})


def evaluate(host: str, model: Path, data: Path, *, progress: Progress, **options: Any) -> Ran:
    """``edgecnn evaluate --json`` there; the images are sent, and removed after it.

    Args:
        host: as ssh takes it.
        model: a file of this computer.
        data: a folder of class folders of this computer.
        progress: where to say how much is sent.
        options: of the command, by their names; None is left out.

    Raises:
        UsageError, BundleError, DataError, DeviceError: see `ran`; and what is wrong with the files is said before.
    """
    name = f"model/{model.name}"
    models, (_, images) = {name: Bundle.read(model).data}, class_folders(data)
    files = {f"data/{image.path.relative_to(data)}": image.path for image in images}
    words = ["evaluate", *_options(options), "--json", "--", name, "data"]
    result = ran(host, words, progress=progress, models=models, files=files)
    return result.renamed({name: str(model), "data": str(data)})


def demo(host: str, model: Path, typed: Mapping[str, Any], *, progress: Progress, page: bool) -> int:
    """``edgecnn demo`` there, with its own cameras; what it prints is printed here.

    Args:
        host: as ssh takes it.
        model: a file of this computer.
        typed: the options as they are typed, by their names; files that they write are files of this computer.
        progress: where to say what takes long before it begins.
        page: whether there may be a page, which is then on this computer's loopback, too.

    Returns:
        Its exit code.

    Raises:
        UsageError, BundleError, DeviceError: see `ran`.
    """
    if typed.get("view") == "window":
        raise UsageError(
            "A window on another computer is not seen here.",
            received="--view window --on",
            accepted="--view terminal, web or none",
            remedy="--view web: the page is reached from here",
        )
    options, made = dict(typed), {}
    for name in ("record", "collect", "events"):
        if (value := options.get(name)) and value != "-":
            made[f"{name}{Path(value).suffix}"] = Path(value)
            options[name] = f"made/{name}{Path(value).suffix}"
    file = f"model/{model.name}"
    return ran(
        host,
        ["demo", *_options(options), "--", file],
        progress=progress,
        models={file: Bundle.read(model).data},
        made=made,
        added=[name for name in made if Path(name).stem == "events"],
        forward=_port(options.get("listen")) if page else None,
        stdout=sys.stdout.buffer,
    ).code


def deploy(host: str, model: Path, words: Sequence[str], *, progress: Progress) -> dict[str, Any]:
    """Install a bundle there, as a service of its user's that runs the demo; what ran before is kept beside it.

    Args:
        host: as ssh takes it.
        model: a bundle of this computer.
        words: options of ``edgecnn demo``, as they are typed.
        progress: where to say what takes long.

    Returns:
        ``release`` and ``previous``, folders there, and ``at_boot``: whether it starts with the computer.

    Raises:
        UsageError, BundleError: see `Bundle.read`.
        DeviceError: see `connected`; or the service did not start, and what ran before runs again.
    """
    data = Bundle.read(model).data
    digest = hashlib.sha256(data).hexdigest()
    with connected(host, progress, models={digest: data}) as there:
        return there.link.ask("deploy", venv=there.venv, name=model.name, sha256=digest, words=list(words))


def _port(listen: str | None) -> int | None:
    """The port of a page that only its own computer may see."""
    host, _, port = (listen or "127.0.0.1").partition(":")
    return int(port or 8042) or None if host in ("127.0.0.1", "localhost") and (port or "0").isdecimal() else None


def _options(options: Mapping[str, Any]) -> list[str]:
    words: list[str] = []
    for name, value in options.items():
        if value is None or value is False:
            continue
        words.append(f"--{name.replace('_', '-')}")
        if value is not True:
            words.append(",".join(map(str, value)) if isinstance(value, tuple) else str(value))
    return words
