"""Arguments and options that several commands take, how they are read and how a shell completes them."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import click


def threads(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """``1,2,4``."""
    if value is None:
        return None
    counts = value.split(",")
    if not all(count.strip().isdecimal() and 1 <= int(count) <= 64 for count in counts):
        raise click.BadParameter(f"{value!r} is not a list of numbers from 1 to 64, such as 1,2,4")
    return tuple(int(count) for count in counts)


def share(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """``1%`` and ``0.01`` are one."""
    if value is None:
        return None
    with suppress(ValueError):
        share = float(value.removesuffix("%")) / (100 if value.endswith("%") else 1)
        if 0 <= share < 1:
            return share
    raise click.BadParameter(f"{value!r} is not a share of the images from 0 to under 1, such as 1% or 0.01")


def size(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """``640x480`` as height and width."""
    if value is None:
        return None
    width, _, height = value.partition("x")
    if width.isdecimal() and height.isdecimal():
        return int(height), int(width)
    raise click.BadParameter(f"{value!r} is not a width and a height, such as 640x480")


def region(context: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    """``LEFT,TOP,WIDTH,HEIGHT`` as an `edgecnn.device.Region`."""
    if value is None:
        return None
    from edgecnn.device import Region

    with suppress(ValueError, TypeError):
        return Region(*map(float, value.split(",")))
    raise click.BadParameter(f"{value!r} is not LEFT,TOP,WIDTH,HEIGHT, such as 0.25,0.25,0.5,0.5 or 100,0,320,320")


def number(*units: tuple[str, float]) -> Any:
    """A callback for a positive number with a unit: ``100kB`` and ``100000`` are one."""

    def parse(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
        if value is None:
            return None
        for unit, factor in (*units, ("", 1.0)):
            with suppress(ValueError):
                number = float(value.removesuffix(unit)) * factor if value.endswith(unit) else 0.0
                if 0 < number < float("inf"):
                    return number
        raise click.BadParameter(
            f"{value!r} is not a positive number, with or without {' or '.join(u for u, _ in units)}"
        )

    return parse


def complete_recipes(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[Any]:
    """Names and the recipe files that are here; any path where nothing of that begins like this."""
    from click.shell_completion import CompletionItem

    names = [path.name for path in sorted(Path().glob("*.py"))]
    with suppress(ModuleNotFoundError):  # the device side alone is installed
        from edgecnn.build import recipes

        names = [*recipes.names(), *names]
    found = [CompletionItem(name) for name in names if name.startswith(incomplete)]
    return found or [CompletionItem(incomplete, type="file")]


def complete_targets(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Those that are installed, after any comma."""
    from edgecnn.targets import TARGETS

    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in TARGETS if name.startswith(last) and TARGETS[name].installed()]


def complete_views(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Their names."""
    from edgecnn.device.views import VIEWS

    return [name for name in VIEWS if name.startswith(incomplete)]


def complete_cameras(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[Any]:
    """Names and devices; a file where nothing of that begins like this."""
    from click.shell_completion import CompletionItem

    paths = [str(path) for path in sorted(Path("/dev").glob("video*"))]
    names = [name for name in ("csi", "synthetic", *paths) if incomplete and name.startswith(incomplete)]
    return [CompletionItem(name) for name in names] or [CompletionItem(incomplete, type="file")]


model = click.argument("model", type=click.Path(path_type=Path))
json = click.option("--json", "as_json", is_flag=True, help="Put one JSON document on stdout.")
target = click.option(
    "--target", metavar="NAME", shell_complete=complete_targets, help="Runtime: litert, tflite-runtime, ..."
)
on = click.option("--on", "host", metavar="USER@HOST", help="Run on that computer, over ssh; see `device`.")
one_thread_count = click.option("--threads", type=click.IntRange(1, 64), help="Threads of the interpreter.")
