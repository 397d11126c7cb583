"""Latencies with their intervals, and where the time goes."""

from collections.abc import Iterable
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from edgecnn.console.words import counted, short


def bench_summary(document: dict[str, Any]) -> RenderableType:
    """A bench: the times of each run with their intervals below them, how each began, and what spoils the figures."""
    rows = document["runs"]
    names = ("min", "p50", "p90", "p99", *(["ratio"] if len(rows) > 1 else []))
    table = _numbers("ms", names)
    for row in rows:
        table.add_row(*_times(escape(row["name"]), row, with_ratio=len(rows) > 1))
    for row in rows:
        if (paced := row["paced"]) is not None:
            together = " together" if len(rows) > 1 else ""
            name = f"{escape(row['name'])}, at {paced['rate']:g} a second{together}"
            table.add_row(*_times(name, paced, with_ratio=len(rows) > 1))
    host, first = document["host"], rows[0]
    facts = (
        f"{counted(first['n'], 'invoke')} each over {counted(first['loads'], 'load')}, "
        f"{first['warm_up']['discarded']} more to warm up; {_known(first['intervals'])}\n"
        f"{document['runtime']}; resident {document['rss_mb']} MB\n"
        f"{host['board'] or host['processor']}, {host['cores']} cores, {host['system']}"
    )
    warnings = _warned(document["warnings"])
    facts += _conditions(document["conditions"])
    layers = [Text(), layers_summary(document["layers"])] if document.get("layers") else []
    return Group(table, Text(), _starts(rows), Text(), Text(facts), *warnings, *layers)


def layers_summary(figures: dict[str, Any]) -> RenderableType:
    """Where the time goes: the operators in their order, the five that take longest in bold; and what to do."""
    table = Table(Column("layer", overflow="fold"), box=None, header_style="dim", pad_edge=False, collapse_padding=True)
    table.add_column("operator", overflow="fold")
    for name in ("output", "ms", "time", "M MACs", "kB", "of limit"):
        table.add_column(name, justify="right", no_wrap=name != "of limit")
    longest = sorted((row["time_ms"] or 0.0 for row in figures["operators"]), reverse=True)[:5]
    for row in figures["operators"]:
        heavy = row["time_ms"] and row["time_ms"] >= longest[-1]
        table.add_row(*_layer(row), style="bold" if heavy else None)
    known = figures["sum_ratio_interval"]
    interval = f"{known[0]:.3f}-{known[1]:.3f}" if known else "-: too few loads for an interval"
    limits = figures["limits"]
    rates = ", ".join(f"{rate / 1e9:.3g} GMAC/s in {kind}" for kind, rate in limits["macs_per_s"].items())
    facts = (
        f"The times are estimates: LiteRT keeps its profiler from Python, so each operator runs as a "
        f"model of its own, in turn with the whole. They sum up to {figures['sum_ms']:.4g} ms, the whole "
        f"takes {figures['whole_ms']:.4g} ms; round for round, the sum is {figures['sum_ratio']:.3f} "
        f"({interval}) of it. "
        f"The limits, measured meanwhile: {rates}; {limits['memory_bytes_per_s'] / 1e9:.3g} GB/s from memory, "
        f"{limits['cache_bytes_per_s'] / 1e9:.3g} GB/s in the caches ({limits['cache_bytes'] / 2**20:.3g} MB)."
    )
    advice = [Text(sentence, style="bold") for sentence in figures["advice"]]
    return Group(table, Text(), Text(facts), *advice, *_warned(figures["warnings"]))


def _layer(row: dict[str, Any]) -> tuple[str, ...]:
    """An operator's cells; a dash is what is not known, or too short to be."""
    return (
        escape(row["name"]),
        escape(row["type"].lower().removesuffix("_2d")),
        "x".join(str(size) for size in row["output"][1:] or row["output"]),
        "-" if row["time_ms"] is None else f"{row['time_ms']:.3f}",
        "-" if row["share"] is None else f"{row['share']:.1%}",
        (f"{row['macs'] / 1e6:.2f}" if row["macs"] else "") if row["macs_known"] else "?",
        f"{row['bytes'] / 1e3:.1f}",
        "-" if row["limit_share"] is None else f"{row['limit_share']:.0%}",
    )


def _warned(warnings: list[str]) -> list[Text]:
    return [Text(warning, style="yellow") for warning in warnings]


def _times(name: str, figures: dict[str, Any], *, with_ratio: bool) -> list[str]:
    """The cells of a run."""
    known = figures["intervals"] or {}
    cells = [name, short(figures["min_ms"])]  # of which there is no interval
    for key in ("p50_ms", "p90_ms", "p99_ms"):
        cells.append(f"{short(figures[key])}{_below(known[key]) if key in known else ''}")
    ratio = _below(figures["ratio_interval"]) if figures["ratio_interval"] else ""  # the first run's is 1
    return cells + ([f"{short(figures['ratio'])}{ratio}"] if with_ratio else [])


def _numbers(first: str, others: Iterable[str]) -> Table:
    """A table of columns of numbers, which are whole, after one of names, which are folded."""
    table = Table(Column(first, overflow="fold"), box=None, header_style="dim", pad_edge=False)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _below(interval: list[float] | None) -> str:
    """The line below a figure; a dash is an interval that so few timings do not give."""
    shown = f"{short(interval[0], 3)}-{short(interval[1], 3)}" if interval else "-"
    return f"\n[dim]{shown}[/]"


def _known(intervals: dict[str, list[float] | None] | None) -> str:
    """What stands below the figures."""
    if not intervals:
        return "too few loads for intervals"
    dash = "" if all(intervals.values()) else ", - where there are too few invokes for one"
    return f"below them, 95 % intervals{dash}"


def _starts(rows: list[dict[str, Any]]) -> Table:
    """What comes before the first answer."""
    table = _numbers("cold start, ms", ("import", "read", "load", "allocate", "invoke", "peak MB"))
    for row in rows:
        memory = "-" if row["memory_mb"] is None else short(row["memory_mb"])
        table.add_row(escape(row["name"]), *(short(took) for took in row["cold_start"].values()), memory)
    return table


def _conditions(figures: dict[str, Any]) -> str:
    """What the computer says of itself; nothing of what it does not."""
    said = []
    if figures["governor"] is not None:
        said.append(f"governor {figures['governor']}")
    for name, unit in (("mhz", "MHz"), ("temperature_c", "°C")):
        before, after = figures[name]["before"], figures[name]["after"]
        if before is not None and after is not None:
            said.append(f"{before:.0f} to {after:.0f} {unit}")
    if figures["others_cpu"] is not None:
        said.append(f"others took {figures['others_cpu']:.1%} of the processor")
    return "\n" + ", ".join(said) if said else ""
