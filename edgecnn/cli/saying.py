"""What commands say beside their results, and what others said."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import click


def say(line: str) -> None:
    """A line for people, on stderr."""
    from edgecnn import console

    console.say(line)


def say_unknown(unknown: Sequence[str]) -> None:
    """What a foreign file does not tell."""
    for what in unknown:
        say(f"The file does not say {what}.")


def print_json(document: dict[str, Any]) -> None:
    """One JSON document, which is an error's."""
    import json

    with suppress(OSError):  # where stdout is what failed, stderr says so
        click.echo(json.dumps(document))


def print_ran(ran: Any, summary: Callable[[dict[str, Any]], Any], *, as_json: bool) -> None:
    """What a command on another computer printed, as that command would here; its errors are on stderr already."""
    from edgecnn import console

    if ran.code:
        if as_json and ran.document:
            print_json(ran.document)
        raise click.exceptions.Exit(ran.code)
    console.to_stdout(ran.document, summary(ran.document), as_json=as_json)
