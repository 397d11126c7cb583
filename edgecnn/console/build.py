"""What a build came to, and several side by side."""

from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from edgecnn.console.accelerators import agreement, memory, speed
from edgecnn.console.words import IN_BRACKETS, PLACES, accuracy

_METHODS = {  # `edgecnn.build.convert.Candidate`
    "ptq": "post-training quantization (ptq)",
    "ptq-refined": "post-training quantization with better ranges and biases (ptq-refined)",
    "qat": "quantization-aware training (qat)",
    "mixed": "int8 with some layers in float (mixed)",
}


def build_summary(report: dict[str, Any]) -> RenderableType:
    """A build's report: what each stage changed, what was kept and missed, and the way of pruning after a miss."""
    gates = Table(box=None, show_header=False)
    for gate in report["gates"]:
        mark = "[green]kept[/]" if gate["passed"] else "[bold red]missed[/]"
        value = "-" if gate["value"] is None else f"{gate['value']}"
        gates.add_row("gate", gate["name"], value, f"limit {gate['limit']}", mark)
    int8, data = report["int8"], report["data"]
    found = [each for each in report["candidates"] if each["val_accuracy"] is not None]
    tried = ", ".join(f"{each['method']} {each['val_accuracy']:.4f}" for each in found)
    facts = (
        f"agreement with Keras {int8['agreement']:.4f}, sparsity {int8['sparsity']:.3f}, "
        f"{len(data['classes'])} classes\n{data['test']} test images"
        f"{'' if int8['accuracy'] is None else f'; {IN_BRACKETS}'}\n"
        f"{_METHODS[int8['method']]} ships" + (f"; on validation: {tried}" if tried else "")
    )
    if int8["float_layers"]:
        facts += f"\nkept in float: {', '.join(int8['float_layers'])}"
    facts += _confidence(report["confidence"])
    parts: list[RenderableType] = [_steps(report), Text(facts), gates]
    if report["pruning"] and not all(gate["passed"] for gate in report["gates"]):
        parts.append(_trade_off(report["pruning"]))
    for each in report["targets"]:
        said = ", ".join(filter(None, (speed(each), memory(each), agreement(each))))
        share = "" if each["method"] == "exported" else f"{each['operator_share']:.1%} of operators accelerated, "
        parts.append(Text(f"{each['target']}: {share}{said}\n{each['path']}", overflow="fold"))
    if report["samples"]:
        parts.append(Text(f"samples of the training images: {report['samples']}", overflow="fold"))
    parts.append(Text(f"report: {report['page']}", overflow="fold"))
    return Group(*parts, Text(report["model"]["path"], overflow="fold"))


def _confidence(figures: dict[str, Any]) -> str:
    """What the scores are worth, and from which on they are shown; nothing of what is not known."""
    if figures["threshold"] is None:
        return ""
    note = f" ({figures['temperature_note']})" if figures["temperature_note"] else ""
    before, now = (f"{figures[name]:.4f}" for name in ("ece_before", "ece"))
    shown = {
        name: f"{each['share']:.3f}"
        for name in ("right", "wrong", "out_of_set")
        if (each := figures[f"{name}_accepted"]) is not None
    }
    strangers = figures["out_of_set_accepted"]
    kept = (
        f"unknown below {figures['threshold']:.3f}: shown are {shown.get('right', 'none')} of right answers, "
        f"{shown.get('wrong', 'none')} of wrong ones"
        if figures["threshold"]
        else "no threshold: every answer is shown"
    )
    return f"\ntemperature {figures['temperature']:.3f}{note}, calibration error {now}, without it {before}\n{kept}" + (
        f"\nand {shown['out_of_set']} of {strangers['n']} images of none of the classes" if strangers else ""
    )


def _steps(report: dict[str, Any]) -> Table:
    """Each stage's network in int8, and by how much each changed file, download and latency against the row above.

    Latencies are noisy: one that is said to have changed belongs to another file, and differs by a tenth.
    """
    table = Table("", "", "accuracy", "file", "gzip", "p50 ms", box=None, header_style="dim", pad_edge=False)
    for column in table.columns[3:]:
        column.justify, column.overflow = "right", "fold"
    before: dict[str, Any] | None = None
    for step in report["steps"]:
        cells: list[str] = []
        for name, noise in (("size_bytes", 0.01), ("gzip_bytes", 0.01), ("p50_ms", 0.1)):
            change = step[name] / before[name] - 1 if before else 0.0
            same_network = bool(before) and name == "p50_ms" and step["method"] != "float" and "%" not in cells[0]
            cells.append(f"{step[name]:,}" + (f" {change:+.0%}" if abs(change) >= noise and not same_network else ""))
        table.add_row(step["stage"], step["method"], accuracy(step), *cells)
        before = step
    return table


def _trade_off(pruning: list[dict[str, Any]]) -> Table:
    """The networks on the way of pruning: what each took, and could do."""
    table = Table("pruned to", "bytes", "million MACs", "p50 ms", "validation", box=None, header_style="dim")
    for number, step in enumerate(pruning):
        accuracy = f"{step['val_accuracy']:.4f}" if "val_accuracy" in step else ""
        name = f"step {number}" if number else "unpruned"
        table.add_row(
            name, f"{step['size_bytes']:,}", f"{step['macs'] / 1e6:.2f}", str(step.get("p50_ms", "")), accuracy
        )
    return table


def comparison_summary(document: dict[str, Any]) -> RenderableType:
    """Builds as one table, and what makes their figures incomparable."""
    table = Table(Column("build", overflow="fold"), box=None, header_style="dim", pad_edge=False)
    for name in ("accuracy", "file", "gzip", "p50 ms", "kept"):
        table.add_column(name, justify="right", no_wrap=name != "accuracy")
    for each in document["builds"]:
        numbers = (f"{each['size_bytes']:,}", f"{each['gzip_bytes']:,}", str(each["p50_ms"]))
        table.add_row(escape(each["name"]), accuracy(each), *numbers, f"{each['kept']}/{each['gates']}")
    different = [each["setting"] for each in document["settings"]]
    more = f" and {len(different) - PLACES} more" if len(different) > PLACES else ""
    facts = f"set differently: {', '.join(different[:PLACES])}{more}" if different else ""
    return Group(table, Text(facts), *(Text(warning, style="yellow") for warning in document["warnings"]))
