"""The page: one file that needs nothing else, for a browser, a phone or a printer."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from edgecnn.build.report import drawn, looks

_HERE = Path(__file__).parent
_TABLE_OF_ALL, _PAIRS, _WORST = 20, 25, 20  # classes whose matrix is a table; confusions and classes that are listed
Report = Mapping[str, Any]


def render(report: Report, pictures: Sequence[Mapping[str, Any]] = (), samples: Path | None = None) -> str:
    """The page of a build.

    Args:
        report: its facts; see `edgecnn.build.report.facts`.
        pictures: one for each of ``report["pictured"]``.
        samples: the picture of training images.
    """
    view: dict[str, Any] = {"failed": None, **report}
    if not view["failed"]:
        view |= {
            "rows": rows(report),
            "names": [_name(step, step is report["steps"][-1]) for step in report["steps"]],
            "table": layer_table(report),
            "mistakes": list(zip(report["pictured"], pictures, strict=True)),
            "samples_picture": looks.page_picture(samples) if samples else "",
            **_confusions(report),
        }
    return str(template("report.html.j2").render(view))


def template(name: str) -> Any:
    """A template of this folder; what is put into it is escaped."""
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"size": drawn.size, "commas": "{:,}".format, "four": "{:.4f}".format, "three": _three}
    environment.filters["percent"] = _percent
    environment.globals |= {"drawn": drawn, "css": Markup((_HERE / "page.css").read_text())}
    return environment.get_template(name)


def _three(number: float) -> str:
    return f"{number:.3g}" if number < 1000 else f"{number:,.0f}"


def _percent(share: float) -> str:
    """``98.4 %``, rounded down: 100 % is all of it."""
    return f"{int(1000 * share + 1e-6) / 10:g} %"


def rows(report: Report) -> list[dict[str, Any]]:
    """Everything that was built, side by side: what each stage left, then what did not ship, as far as it is known."""
    last = report["steps"][-1]
    shipped = report["int8"]["method"]
    chosen = {each["method"]: each["val_accuracy"] for each in report["candidates"]}
    found = [
        {**step, "name": _name(step, step is last), "val_accuracy": chosen.get(shipped) if step is last else None}
        for step in report["steps"]
    ]
    others = [each for each in report["candidates"] if each["method"] != shipped]
    empty = dict.fromkeys(("accuracy", "accuracy_interval", "gzip_bytes", "p50_ms"))
    return found + [{**empty, **each, "name": f"{each['method'].upper()}, did not ship"} for each in others]


def _name(step: Mapping[str, Any], ships: bool) -> str:
    method = {"float": "float"}.get(step["method"], step["method"].upper())
    return f"shipped: {method}" if ships else f"{step['stage']}: {method}"


def layer_table(report: Report) -> list[dict[str, Any]]:
    """Every layer of the file with its bytes, work and time, what int8 costs in it, and how long their bars are.

    The longest bar of each is that of the largest.
    """
    costs = {each["layer"]: each["kl"] for each in report["sensitivity"]}
    table = [{**each, "kl": costs.get(each["name"])} for each in report["layers"]]
    for name in ("size_bytes", "macs", "ms", "kl"):
        most = max((each[name] or 0 for each in table), default=0)
        for each in table:
            each[f"{name}_bar"] = (each[name] or 0) / most if most else 0.0
    return table


def _confusions(report: Report) -> dict[str, Any]:
    """The matrix as a table, of many classes as a picture; what is confused most; the classes, worst first."""
    if not report["confusion"]:
        return {"matrix": None, "matrix_picture": None, "confused": [], "worst": [], "all_classes": []}
    labels, pairs = report["data"]["classes"], report["confusion"]["pairs"]
    few = len(labels) <= _TABLE_OF_ALL
    wrong = sorted((pair for pair in pairs if pair[0] != pair[1]), key=lambda pair: -pair[2])
    classes = sorted(report["int8"]["per_class"].items(), key=lambda item: (item[1]["accuracy"], item[0]))
    return {
        "matrix": _matrix(labels, pairs) if few else None,
        "matrix_picture": None if few else looks.matrix_picture(pairs, len(labels)),
        "confused": [(labels[true], labels[answered], number) for true, answered, number in wrong[:_PAIRS]],
        "worst": classes[:_WORST],
        "all_classes": classes if len(classes) > _WORST else [],
    }


def _matrix(labels: Sequence[str], pairs: Sequence[Sequence[int]]) -> list[dict[str, Any]]:
    counts = {(true, answered): number for true, answered, number in pairs}
    found = []
    for true, label in enumerate(labels):
        row = [counts.get((true, answered), 0) for answered in range(len(labels))]
        total = sum(row) or 1
        found.append({"label": label, "cells": [(n, n / total, place == true) for place, n in enumerate(row)]})
    return found
