"""Whether an installation works."""

from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

_LEVELS = {"ok": "green", "warn": "yellow", "fail": "bold red"}  # `edgecnn.doctor.Level`


def doctor_summary(document: dict[str, Any]) -> RenderableType:
    """Each finding, and below it what to do."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for check in document["checks"]:
        table.add_row(Text(check["level"], style=_LEVELS[check["level"]]), check["name"], Text(check["found"]))
        if check["advice"]:
            table.add_row("", "to do", Text(check["advice"]))
    return table
