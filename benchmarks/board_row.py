"""A row of docs/boards.md: edgecnn bench MODEL --threads 1,2,4 --json | python benchmarks/board_row.py

Reads what `edgecnn bench` measured on this very board and prints a line of Markdown a file and runtime; to stderr, what
spoiled the figures. An emulated board is refused, for its times mean nothing.
"""

import json
import sys
from pathlib import PurePath
from typing import Any


def rows(document: dict[str, Any]) -> list[str]:
    """A line for each file and runtime that one run of `edgecnn bench` timed."""
    kinds = dict.fromkeys((run["model"], run["runtime"]) for run in document["runs"])
    return [
        _row(document["host"], [run for run in document["runs"] if (run["model"], run["runtime"]) == kind])
        for kind in kinds
    ]


def _row(host: dict[str, Any], runs: list[dict[str, Any]]) -> str:
    first = runs[0]
    cold = sum(took for phase, took in first["cold_start"].items() if phase != "read_ms")  # as `cold_start_ms` has it
    cells = [
        host["board"] or host["processor"],
        f"{host['system']}, Python {host['python']}",
        first["runtime"],
        PurePath(first["model"]).name,
        "; ".join(f"{run['threads']}: {run['p50_ms']:.2f} / {run['p90_ms']:.2f}" for run in runs),
        f"{cold:.0f}",
        "not known" if first["memory_mb"] is None else f"{first['memory_mb']:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """From stdin to stdout."""
    try:
        document = json.load(sys.stdin)
    except ValueError:
        sys.exit("That is no JSON: pipe in what edgecnn bench --json prints.")
    if "error" in document:
        sys.exit(f"bench failed: {document['error']['message']} Mend that first.")
    if "QEMU" in document["host"]["processor"]:
        sys.exit("This board is emulated: its times mean nothing.")
    for warning in document["warnings"]:
        print(warning, file=sys.stderr)
    print("\n".join(rows(document)))


if __name__ == "__main__":
    main()
