"""What the command line shows to people: progress, results and errors. `cli` prints through this alone."""

import io
import json
import logging
import sys
import textwrap
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, Progress, Task, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from edgecnn.errors import DeviceError, EdgecnnError
from edgecnn.images import SPLITS

_LINE_EVERY_S = 15.0
_PLACES = 5  # of files that a finding is about; the JSON has all
_FALLBACKS = 20  # operators that are shown; the JSON has all
_METHODS = {  # `edgecnn.build.convert.Candidate`
    "ptq": "post-training quantization (ptq)",
    "ptq-refined": "post-training quantization with better ranges and biases (ptq-refined)",
    "qat": "quantization-aware training (qat)",
    "mixed": "int8 with some layers in float (mixed)",
}
_IN_BRACKETS = "95 % interval in brackets"
_LEVELS = {"ok": "green", "warn": "yellow", "fail": "bold red"}  # `edgecnn.doctor.Level`


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


class StderrProgress:
    """A bar on a terminal; elsewhere a line for each message, and one now and then while something takes long."""

    def __init__(self, console: Console, bar: Progress) -> None:
        self._console, self._bar = console, bar
        self._task = bar.add_task("", total=None, visible=False)
        self._total, self._line_due = 0, time.monotonic() + _LINE_EVERY_S

    def update(self, done: int, total: int, note: str = "") -> None:
        """``done`` steps of ``total`` are finished; a total of 0 is one that is not known, and the bar only moves."""
        if total != self._total or done <= 1:
            self._total = total
            self._bar.reset(self._task, total=total or None, visible=True)
        self._bar.update(self._task, completed=done, description=note, visible=not total or done < total)
        if total and not self._console.is_terminal and time.monotonic() >= self._line_due:
            self._line_due = time.monotonic() + _LINE_EVERY_S
            left = "" if note.endswith(" left") else _left(self._bar.tasks[0].time_remaining)
            self._console.print(f"  {note} ({100 * done // total} %{left})", markup=False)

    def say(self, message: str) -> None:
        """A line that stays."""
        self._bar.update(self._task, visible=False)
        self._console.print(message, markup=False, soft_wrap=True)  # a path that is broken in two is none


def _left(seconds: float | None) -> str:
    return "" if seconds is None else f", {int(seconds) // 60}:{int(seconds) % 60:02} left"


class _TimeRemaining(TimeRemainingColumn):
    """Silent where the note says it, which knows of a training that went on."""

    def render(self, task: Task) -> Text:
        """See rich."""
        return Text("") if task.description.endswith(" left") else super().render(task)


@contextmanager
def progress() -> Iterator[StderrProgress]:
    """Progress on stderr for as long as the block runs."""
    console = Console(stderr=True, highlight=False, quiet=Verbosity.quiet)
    columns = (BarColumn(20), TextColumn("{task.description}", markup=False), _TimeRemaining(compact=True))
    with Progress(*columns, console=console, transient=True, disable=Verbosity.quiet or not console.is_terminal) as bar:
        yield StderrProgress(console, bar)


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
        f"{'' if int8['accuracy'] is None else f'; {_IN_BRACKETS}'}\n"
        f"{_METHODS[int8['method']]} ships" + (f"; on validation: {tried}" if tried else "")
    )
    if int8["float_layers"]:
        facts += f"\nkept in float: {', '.join(int8['float_layers'])}"
    facts += _confidence(report["confidence"])
    parts: list[RenderableType] = [_steps(report), Text(facts), gates]
    if report["pruning"] and not all(gate["passed"] for gate in report["gates"]):
        parts.append(_trade_off(report["pruning"]))
    for each in report["targets"]:
        said = ", ".join(filter(None, (_speed(each), _memory(each), _agreement(each))))
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
        table.add_row(step["stage"], step["method"], _accuracy(step), *cells)
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


def bench_summary(document: dict[str, Any]) -> RenderableType:
    """A bench: the times of each run with their intervals below them, how each began, and what spoils the figures."""
    rows = document["runs"]
    names = ("min", "p50", "p90", "p99", *(["ratio"] if len(rows) > 1 else []))
    table = _numbers("ms", names)
    for row in rows:
        table.add_row(*_times(escape(row["name"]), row, with_ratio=len(rows) > 1))
    for row in rows:
        if (paced := row["paced"]) is not None:
            name = f"{escape(row['name'])}, at {paced['rate']:g} a second"
            table.add_row(*_times(name, paced, with_ratio=len(rows) > 1))
    host, first = document["host"], rows[0]
    facts = (
        f"{_counted(first['n'], 'invoke')} each over {_counted(first['loads'], 'load')}, "
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
    cells = [name, _short(figures["min_ms"])]  # of which there is no interval
    for key in ("p50_ms", "p90_ms", "p99_ms"):
        cells.append(f"{_short(figures[key])}{_below(known[key]) if key in known else ''}")
    ratio = _below(figures["ratio_interval"]) if figures["ratio_interval"] else ""  # the first run's is 1
    return cells + ([f"{_short(figures['ratio'])}{ratio}"] if with_ratio else [])


def _numbers(first: str, others: Iterable[str]) -> Table:
    """A table of columns of numbers, which are whole, after one of names, which are folded."""
    table = Table(Column(first, overflow="fold"), box=None, header_style="dim", pad_edge=False)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _below(interval: list[float] | None) -> str:
    """The line below a figure; a dash is an interval that so few timings do not give."""
    shown = f"{_short(interval[0], 3)}-{_short(interval[1], 3)}" if interval else "-"
    return f"\n[dim]{shown}[/]"


def _known(intervals: dict[str, list[float] | None] | None) -> str:
    """What stands below the figures."""
    if not intervals:
        return "too few loads for intervals"
    dash = "" if all(intervals.values()) else ", - where there are too few invokes for one"
    return f"below them, 95 % intervals{dash}"


def _counted(number: int, name: str) -> str:
    return f"{number} {name}{'s' * (number != 1)}"


def _short(number: float, digits: int = 4) -> str:
    """Few digits, and never a power of ten: 0.1235, 12.35, 123457."""
    return f"{number:.{digits}g}" if number < 1000 else f"{number:.0f}"


def _starts(rows: list[dict[str, Any]]) -> Table:
    """What comes before the first answer."""
    table = _numbers("cold start, ms", ("import", "read", "load", "allocate", "invoke", "peak MB"))
    for row in rows:
        memory = "-" if row["memory_mb"] is None else _short(row["memory_mb"])
        table.add_row(escape(row["name"]), *(_short(took) for took in row["cold_start"].values()), memory)
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
        table.add_row(escape(label), _accuracy(stats), str(stats["n"]))
    facts = f"accuracy {_accuracy(document)} over {document['n']} images ({document['split']}); {_IN_BRACKETS}"
    return Group(table, Text(facts))


def _accuracy(figures: dict[str, Any]) -> str:
    """An accuracy with its interval: ``0.9930 (0.974-0.998)``."""
    if figures["accuracy"] is None:
        return "-"
    low, high = figures["accuracy_interval"]
    return f"{figures['accuracy']:.4f} ({low:.3f}-{high:.3f})"


def data_summary(document: dict[str, Any]) -> RenderableType:
    """What a folder of photos holds, and what is wrong with it."""
    table = Table(Column("class", overflow="fold"), box=None, header_style="dim", pad_edge=False)
    for name in ("images", *SPLITS, "left out"):
        table.add_column(name, justify="right")
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
    for place in finding["places"][:_PLACES]:
        notes = [f" ({note})" for note in place["notes"]]
        named = [path + note for path, note in zip_longest(place["paths"], notes, fillvalue="")]
        left = len(named) - _PLACES
        table.add_row("", Text(", ".join(named[:_PLACES]) + (f" and {left:,} more" if left > 0 else "")))
    if (left := len(finding["places"]) - _PLACES) > 0:
        table.add_row("", f"and {left:,} more: --json lists all")
    return table


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


def comparison_summary(document: dict[str, Any]) -> RenderableType:
    """Builds as one table, and what makes their figures incomparable."""
    table = Table(Column("build", overflow="fold"), box=None, header_style="dim", pad_edge=False)
    for name in ("accuracy", "file", "gzip", "p50 ms", "kept"):
        table.add_column(name, justify="right", no_wrap=name != "accuracy")
    for each in document["builds"]:
        numbers = (f"{each['size_bytes']:,}", f"{each['gzip_bytes']:,}", str(each["p50_ms"]))
        table.add_row(escape(each["name"]), _accuracy(each), *numbers, f"{each['kept']}/{each['gates']}")
    different = [each["setting"] for each in document["settings"]]
    more = f" and {len(different) - _PLACES} more" if len(different) > _PLACES else ""
    facts = f"set differently: {', '.join(different[:_PLACES])}{more}" if different else ""
    return Group(table, Text(facts), *(Text(warning, style="yellow") for warning in document["warnings"]))


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
        ("speed", _speed(document) + cycles),
        ("memory", _memory(document)),
        ("agreement", _agreement(document)),
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
        said = _status(row), _brief_speed(row), _memory(row), _agreement(row, brief=True)
        table.add_row(row["target"], *(each.replace(", ", "\n") for each in said))
    notes = [Text(note) for note in _said_once(rows)]
    legend = [Text(note, style="dim") for note in _legend(document)]
    return Group(table, Text(), *notes, *([Text()] if notes else []), *legend)


def _status(row: dict[str, Any]) -> str:
    share = f", {row['operator_share']:.0%} of operators" if row["status"] in ("compiled", "falls back") else ""
    return f"{row['status'].replace(': ', ':, ')}{share}"


def _brief_speed(row: dict[str, Any]) -> str:
    return f"~{row['inferences_per_second']:,.0f}/s" if "inferences_per_second" in row else _speed(row)


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
            f"as the reference: against LiteRT's reference kernels, over {_counted(found['images'], 'random image')}; "
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
        said[_PLACES:] = [f"and {len(left) - _PLACES:,} more: --json lists all"] if len(left) > _PLACES else []
        if row["status"] in ("not installed", "refused"):
            said.insert(0, row["note"].removeprefix(f"{row['target']}: "))
        for each in dict.fromkeys(said):
            whose.setdefault(each, []).append(row["target"])
    return (f"{', '.join(names)}: {said}" for said, names in whose.items())


def _ability(ability: dict[str, Any] | None, none: str) -> Text:
    if ability is None:
        return Text(none, style="dim")
    return Text(("" if ability["able"] else "no: ") + ability["note"])


def _speed(figures: dict[str, Any]) -> str:
    if "inferences_per_second" in figures:
        part = " for the NPU's part" if figures["fallbacks"] else ""
        return f"{figures['inferences_per_second']:,.0f}/s, estimated{part}"
    return f"{_short(figures['p50_ms'])} ms" if "p50_ms" in figures else ""


def _memory(figures: dict[str, Any]) -> str:
    names = (("arena", "arena_bytes"), ("SRAM", "sram_bytes"), ("DRAM", "dram_bytes"), ("flash", "flash_bytes"))
    return ", ".join(f"{name} {figures[key] / 1e3:,.0f} kB" for name, key in names if figures.get(key))


def _agreement(figures: dict[str, Any], *, brief: bool = False) -> str:
    if (found := figures.get("agreement")) is None:
        return ""
    largest = found["largest_step"]  # whole steps of quantization, or the difference itself where nothing is quantized
    off = _counted(largest, "step" if brief else "quantization step") if isinstance(largest, int) else f"{largest:g}"
    return f"{found['same_class']:.0%} same class, {off} off{'' if brief else ' at most'}"
