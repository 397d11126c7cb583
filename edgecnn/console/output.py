"""Results on stdout, errors and prose on stderr."""

import io
import json
import logging
import sys
import textwrap
from typing import Any

from rich.console import Console, RenderableType
from rich.markup import escape

from edgecnn.errors import DeviceError, EdgecnnError


class _Details(logging.Handler):
    """What edgecnn's modules log, on stderr as it is now: a bar on a terminal makes room for it."""

    def emit(self, record: logging.LogRecord) -> None:
        """See logging."""
        sys.stderr.write(f"{record.getMessage()}\n")


class Verbosity:
    """How much people are told beside results and errors: ``quiet`` and ``verbose`` are set by the command line."""

    quiet = False
    verbose = False
    _details = _Details()

    @classmethod
    def choose(cls, *, quiet: bool = False, verbose: bool = False) -> None:
        """Say nothing of what happens meanwhile, or all: versions, stage keys, what the converter printed."""
        cls.quiet, cls.verbose = quiet, verbose
        log = logging.getLogger("edgecnn")
        log.removeHandler(cls._details)
        if verbose:
            log.addHandler(cls._details)
        log.setLevel(logging.DEBUG if verbose else logging.NOTSET)


def to_stdout(document: dict[str, Any], summary: RenderableType, *, as_json: bool) -> None:
    """Print a result: one JSON document, or its summary for people; one that is a text stays as it is."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is no reason to fail
    try:
        if as_json:
            sys.stdout.write(json.dumps(document) + "\n")
        elif isinstance(summary, str):
            sys.stdout.write(summary)
        else:
            Console(highlight=False).print(summary)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise DeviceError(
            "The result cannot be written to stdout.",
            received=error.strerror,
            accepted="a place with space left",
            remedy="free some space, or send stdout elsewhere",
        ) from error


def say_error(error: EdgecnnError) -> None:
    """Print the four parts of an error to stderr."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"[bold red]Error:[/] {escape(_wrapped(error.message, console, 7))}")
    for name, value in (("received", error.received), ("accepted", error.accepted), ("to do", error.remedy)):
        if value is not None:
            console.print(f"  [dim]{name:>8}[/]  {escape(_wrapped(str(value), console, 12))}")


def say(line: str) -> None:
    """Print a line for people to stderr, which ``--quiet`` silences."""
    console = Console(stderr=True, highlight=False, soft_wrap=True, quiet=Verbosity.quiet)
    console.print(_wrapped(line, console, 0, hanging=2), markup=False)


def _wrapped(text: str, console: Console, used: int, *, hanging: int | None = None) -> str:
    """As wide as a terminal, and broken at spaces alone: a path that is broken in two is none.

    Args:
        text: of any number of lines.
        console: where it goes; what is no terminal has lines of any length.
        used: columns of the first line that are taken.
        hanging: columns before all other lines; None for as many as are taken.
    """
    if not console.is_terminal:
        return text
    margin = " " * (used if hanging is None else hanging)
    lines = [
        textwrap.fill(
            line,
            console.width - 1,
            initial_indent=margin if number else " " * used,
            subsequent_indent=margin,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for number, line in enumerate(text.split("\n"))
    ]
    return "\n".join(lines)[used:]
