"""A row of docs/boards.md: edgecnn bench MODEL --threads 1,2,4 --json | python benchmarks/board_row.py

Reads what `edgecnn bench` measured on this very board and prints a line of Markdown. An emulated board is refused, for
its times mean nothing.
"""

import json
import sys
from pathlib import PurePath
from typing import Any


def row(document: dict[str, Any]) -> str:
    """The line for what one run of `edgecnn bench` found."""
    host = document["host"]
    runs = document["runs"]
    cells = [
        host["board"] or host["processor"],
        f"{host['system']}, Python {host['python']}",
        document["runtime"],
        PurePath(document["model"]).name,
        "; ".join(f"{run['threads']}: {run['p50_ms']:.2f} / {run['p90_ms']:.2f}" for run in runs),
        f"{document['cold_start_ms']:.0f}",
        f"{document['rss_mb']:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """From stdin to stdout."""
    document = json.load(sys.stdin)
    if "QEMU" in document["host"]["processor"]:
        sys.exit("This board is emulated: its times mean nothing.")
    print(row(document))


if __name__ == "__main__":
    main()
