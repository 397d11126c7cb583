"""What is compiled for an accelerator, and what each can do."""

from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from edgecnn.console.words import PLACES, counted, short

_FALLBACKS = 20  # operators that are shown; the JSON has all


def compile_summary(document: dict[str, Any]) -> RenderableType:
    """What was compiled, what it takes, and what is left to the CPU."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("written", Text(document["path"] or "nothing"))
    table.add_row("by", Text(", ".join([document["tool"], *map(str, document["settings"].values())])))
    shares = f"{document['operator_share']:.1%} of {document['operators']} operators"
    if document["method"] != "exported":  # a microcontroller has nothing else to leave it to
        name = "accelerated" if document["method"] == "compiled" else "screened"
        table.add_row(name, f"{shares}, {document['mac_share']:.1%} of multiplications")
    cycles = f", {document['cycles']:,} cycles" if "cycles" in document else ""
    for name, value in (
        ("speed", speed(document) + cycles),
        ("memory", memory(document)),
        ("agreement", agreement(document)),
    ):
        if value:
            table.add_row(name, value)
    if not document["fallbacks"]:
        return table
    left = Table("left to the CPU", "layer", "why", "write instead", box=None, header_style="dim", pad_edge=False)
    for column in left.columns:
        column.overflow = "fold"
    for each in document["fallbacks"][:_FALLBACKS]:
        left.add_row(*(Text(each[key]) for key in ("operator", "layer", "why", "instead")))
    more = len(document["fallbacks"]) - _FALLBACKS
    return Group(table, Text(), left, Text(f"and {more:,} more: --json lists all" if more > 0 else ""))


def targets_summary(document: dict[str, Any]) -> RenderableType:
    """Every target: what is here of it; with a model, what it can do there."""
    if document["model"] is None:
        table = Table("target", "runs here", "compiles here", box=None, header_style="dim", pad_edge=False)
        for row in document["targets"]:
            cells = [_ability(row["runs"], "on its board alone"), _ability(row["compiles"], "as it is")]
            table.add_row(row["target"], *cells)
        return table
    rows = document["targets"]
    table = Table(Column("target", no_wrap=True), box=None, header_style="dim", pad_edge=False)
    for name in ("status", "speed", "memory", "as the reference"):
        table.add_column(name, overflow="fold")
    for row in rows:
        said = _status(row), _brief_speed(row), memory(row), agreement(row, brief=True)
        table.add_row(row["target"], *(each.replace(", ", "\n") for each in said))
    notes = [Text(note) for note in _said_once(rows)]
    legend = [Text(note, style="dim") for note in _legend(document)]
    return Group(table, Text(), *notes, *([Text()] if notes else []), *legend)


def _status(row: dict[str, Any]) -> str:
    share = f", {row['operator_share']:.0%} of operators" if row["status"] in ("compiled", "falls back") else ""
    return f"{row['status'].replace(': ', ':, ')}{share}"


def _brief_speed(row: dict[str, Any]) -> str:
    return f"~{row['inferences_per_second']:,.0f}/s" if "inferences_per_second" in row else speed(row)


def _legend(document: dict[str, Any]) -> Iterator[str]:
    """What the table's words mean, of those that are in it."""
    rows, host = document["targets"], document["host"]
    named = f"{host['board'] or host['processor']}, {host['cores']} cores, {host['system']}"
    if any("p50_ms" in row for row in rows):
        yield f"ms: median of an inference here, one thread: {named}"
    if any("inferences_per_second" in row for row in rows):
        yield "~: Vela's estimate; where operators fall back to the CPU, of the accelerator's part alone"
    if any("operator_share" in row and row["status"] in ("compiled", "falls back") for row in rows):
        yield "of operators: those that the accelerator computes; the others fall back to the CPU"
    if found := next((row["agreement"] for row in rows if row.get("agreement")), None):
        yield (
            f"as the reference: against LiteRT's reference kernels, over {counted(found['images'], 'random image')}; "
            "steps are of the output's quantization, and the most that one is off"
        )
    if any(row["status"].startswith("screened") for row in rows):
        yield "screened: held against the limits that Coral documents, and not compiled; its compiler may refuse it"


def _said_once(rows: list[dict[str, Any]]) -> Iterator[str]:
    """What is missing, and what falls back and why: what is the same for several targets, once for all."""
    whose: dict[str, list[str]] = {}
    for row in rows:
        left = row.get("fallbacks", [])
        said = [f"{each['operator']} of {each['layer']}: {each['why']}; write {each['instead']}" for each in left]
        said[PLACES:] = [f"and {len(left) - PLACES:,} more: --json lists all"] if len(left) > PLACES else []
        if row["status"] in ("not installed", "refused"):
            said.insert(0, row["note"].removeprefix(f"{row['target']}: "))
        for each in dict.fromkeys(said):
            whose.setdefault(each, []).append(row["target"])
    return (f"{', '.join(names)}: {said}" for said, names in whose.items())


def _ability(ability: dict[str, Any] | None, none: str) -> Text:
    if ability is None:
        return Text(none, style="dim")
    return Text(("" if ability["able"] else "no: ") + ability["note"])


def speed(figures: dict[str, Any]) -> str:
    """Measured or estimated; nothing where it is neither."""
    if "inferences_per_second" in figures:
        part = " for the NPU's part" if figures["fallbacks"] else ""
        return f"{figures['inferences_per_second']:,.0f}/s, estimated{part}"
    return f"{short(figures['p50_ms'])} ms" if "p50_ms" in figures else ""


def memory(figures: dict[str, Any]) -> str:
    """Of the kinds that there are."""
    names = (("arena", "arena_bytes"), ("SRAM", "sram_bytes"), ("DRAM", "dram_bytes"), ("flash", "flash_bytes"))
    return ", ".join(f"{name} {figures[key] / 1e3:,.0f} kB" for name, key in names if figures.get(key))


def agreement(figures: dict[str, Any], *, brief: bool = False) -> str:
    """With the reference; nothing where none was asked."""
    if (found := figures.get("agreement")) is None:
        return ""
    largest = found["largest_step"]  # whole steps of quantization, or the difference itself where nothing is quantized
    off = counted(largest, "step" if brief else "quantization step") if isinstance(largest, int) else f"{largest:g}"
    return f"{found['same_class']:.0%} same class, {off} off{'' if brief else ' at most'}"
