"""What is in a file, what it answers, and how often that is right."""

from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from edgecnn.console.words import IN_BRACKETS, accuracy


def demo_summary(document: dict[str, Any]) -> RenderableType:
    """A demo's end as one table."""
    table = Table("phase", "p50 ms", "p90 ms", "p99 ms", box=None, header_style="dim")
    for phase, stats in document["phases"].items():
        table.add_row(phase, *("-" if value is None else f"{value:.3f}" for value in stats.values()))
    frames, fps = document["frames"], document["fps"]
    speed = "" if fps is None else f"{fps:.1f} FPS, "
    answered = f"{frames} frame{'' if frames == 1 else 's'} answered"
    facts = f"{answered}, {document['dropped']} dropped, {speed}{document['runtime']}"
    if document["left_out"]:
        facts += "\nleft out: " + "\n          ".join(document["left_out"])
    if document["age"]:
        facts += (
            f"\nage of what was shown: p50 {document['age']['p50_ms']:.1f} ms, p90 {document['age']['p90_ms']:.1f} ms"
        )
    if (truth := document["truth"]) is not None:
        facts += f"\nagainst the scene's truth: {truth['accuracy']:.4f} by frame, {truth['shown']:.4f} as shown"
    return Group(table, Text(facts))


def evaluation_summary(document: dict[str, Any]) -> RenderableType:
    """An evaluation as one table."""
    table = Table(Column("class", overflow="fold"), "accuracy", "images", box=None, header_style="dim")
    for label, stats in document["per_class"].items():
        table.add_row(escape(label), accuracy(stats), str(stats["n"]))
    facts = f"accuracy {accuracy(document)} over {document['n']} images ({document['split']}); {IN_BRACKETS}"
    return Group(table, Text(facts))


def explain_summary(document: dict[str, Any]) -> RenderableType:
    """What a file answers to some images, and where the pictures of why are."""
    parts: list[RenderableType] = []
    if document["images"]:
        table = Table(Column("image", overflow="fold"), Column("answer", overflow="fold"), box=None, header_style="dim")
        table.add_column("score", justify="right", no_wrap=True)
        table.add_column("picture", overflow="fold")
        for each in document["images"]:
            names = (Text(Path(each["image"]).name), Text(each["label"]))
            table.add_row(*names, f"{each['score']:.3f}", Text(each["picture"]))
        parts.append(table)
    for what in ("sheet", "filters"):
        parts += [Text(f"{what}: {document[what]}", overflow="fold")] if document[what] else []
    parts += [Text(f"feature maps: {path}", overflow="fold") for path in document["features"]]
    return Group(*parts)


def show_summary(document: dict[str, Any]) -> RenderableType:
    """What is inside a file."""
    table = Table(box=None, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    manifest = document["manifest"] or {}
    spec = document["input"]
    table.add_row("file", Text(document["path"]))
    table.add_row("whole", f"yes, {document['size_bytes']:,} bytes")
    table.add_row("sha256", document["sha256"])
    table.add_row("origin", Text(f"edgecnn, {manifest['name']}") if manifest else "not built by edgecnn")
    for side in ("inputs", "outputs"):
        for tensor in document[side]:
            quantized = f", scale {tensor['scale']:g}, zero point {tensor['zero_point']}" if tensor["scale"] else ""
            table.add_row(side[:-1], f"{tensor['dtype']} {tuple(tensor['shape'])}{quantized}")
    if spec:
        table.add_row("frame", f"{spec['height']}x{spec['width']}, {spec['resize']}")
    table.add_row(
        "labels", Text(", ".join(document["labels"][:20]) + (", ..." if len(document["labels"]) > 20 else ""))
    )
    for what in document["unknown"]:
        table.add_row("unknown", Text(what))
    provenance = manifest.get("provenance", {})
    for heading, rows in (
        ("accuracy", _to_four_places(manifest.get("accuracy", {}))),
        ("confidence", _to_four_places(manifest.get("confidence", {}))),
        ("compiled", manifest.get("compiled", {})),
        ("keys of the stages", provenance.get("keys", {})),
        ("versions that built it", provenance.get("versions", {})),
    ):
        if rows:
            table.add_row(Text(heading, style="bold"), "")
        for name, value in rows.items():
            table.add_row(Text(f"  {name}"), Text(str(value)))
    return table


def _to_four_places(figures: dict[str, float | None]) -> dict[str, str]:
    return {name: "-" if figure is None else f"{figure:.4f}" for name, figure in figures.items()}
