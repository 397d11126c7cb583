"""What a folder of photos holds."""

from itertools import zip_longest
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from edgecnn.console.words import PLACES


def data_summary(document: dict[str, Any]) -> RenderableType:
    """What a folder of photos holds, and what is wrong with it."""
    table = Table(Column("class", overflow="fold"), box=None, header_style="dim", pad_edge=False)
    for name in next(iter(document["classes"].values()), ()):  # images, the splits, left out
        table.add_column(name.replace("_", " "), justify="right")
    for label, counts in document["classes"].items():
        table.add_row(escape(label), *(f"{count:,}" for count in counts.values()))
    totals = [sum(column) for column in zip(*(each.values() for each in document["classes"].values()), strict=True)]
    table.add_row("[dim]all[/]", *(f"{total:,}" for total in totals))
    sizes = ", ".join(f"{name} {each['height']}x{each['width']}" for name, each in document["sizes"].items())
    parts: list[RenderableType] = [table, Text(f"\nheight x width: {sizes}" if sizes else "")]
    for finding in document["findings"]:
        parts += [Text(), Text(finding["message"], style="bold"), _finding(finding)]
    if document["usable"]:
        number = len(document["findings"])
        look = f"; {number} {'things' if number > 1 else 'thing'} to look at, above" if number else ""
        parts.append(Text(f"\nA build would take this folder{look}."))
    return Group(*parts)


def _finding(finding: dict[str, Any]) -> Table:
    """What is done about it, and the first of its places; a path is folded, and never cut."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", justify="right", no_wrap=True, min_width=9)
    table.add_column(overflow="fold")
    table.add_row("a build", Text(finding["build"]))
    table.add_row("to do", Text(finding["advice"]))
    for place in finding["places"][:PLACES]:
        notes = [f" ({note})" for note in place["notes"]]
        named = [path + note for path, note in zip_longest(place["paths"], notes, fillvalue="")]
        left = len(named) - PLACES
        table.add_row("", Text(", ".join(named[:PLACES]) + (f" and {left:,} more" if left > 0 else "")))
    if (left := len(finding["places"]) - PLACES) > 0:
        table.add_row("", f"and {left:,} more: --json lists all")
    return table
