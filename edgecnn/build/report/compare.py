"""Builds beside each other, from their reports: `edgecnn report A B C`."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgecnn.build.report import page
from edgecnn.build.report.drawn import frontiers
from edgecnn.build.report.facts import FACTS
from edgecnn.errors import UsageError

_CLASSES = 200  # of which all are listed; of more those that differ most


def read(path: Path) -> dict[str, Any]:
    """The report of a build.

    Args:
        path: ``report.json``, or the folder that it is in.

    Raises:
        UsageError: it is none, or that of a build that failed.
    """
    file = path / FACTS if path.is_dir() else path
    try:
        report = json.loads(file.read_bytes())
        whole = report["schema"] == 1 and isinstance(report["recipe"], str)
    except OSError as error:
        raise _refused("This report cannot be read.", f"{file}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise _refused("This is no report of a build.", str(file)) from error
    if whole and "failed" in report:
        raise _refused("This build failed, so there is nothing to compare.", f"{file}: {report['failed']['message']}")
    if not whole or not {"float", "int8", "model", "gates", "data", "settings", "board"} <= set(report):
        raise _refused("This is no report of a build.", str(file))
    return dict(report)


def _refused(message: str, received: str) -> UsageError:
    return UsageError(
        message,
        received=received,
        accepted="a report.json that `edgecnn build` wrote, or the folder that it is in",
        remedy="check the path; the reports of builds are in artifacts/NAME/",
    )


def compare(paths: Sequence[Path]) -> dict[str, Any]:
    """What of several builds differs, as JSON.

    Args:
        paths: at least one; see `read`.

    Returns:
        ``builds``, a row each with its ``name``; ``settings`` and ``classes``, what differs in them, by build;
        ``warnings``: what makes figures incomparable.

    Raises:
        UsageError: see `read`.
    """
    reports = [read(path) for path in paths]
    names = _names(paths, reports)
    return {
        "schema": 1,
        "builds": [_row(name, report) for name, report in zip(names, reports, strict=True)],
        "settings": _settings(reports),
        "classes": _classes(reports),
        "warnings": _warnings(reports),
    }


def rendered(document: Mapping[str, Any]) -> str:
    """The page of a comparison."""
    builds = document["builds"]
    known = [build for build in builds if build["accuracy"] is not None]
    charts = frontiers(builds) if len(known) == len(builds) > 1 else []
    return str(page.template("compare.html.j2").render(document, charts=charts))


def _names(paths: Sequence[Path], reports: Sequence[Mapping[str, Any]]) -> list[str]:
    """By the recipe where that tells them apart, else by the folder, else by the path."""
    folders = [str((path if path.is_dir() else path.parent).resolve().name) for path in paths]
    for names in ([report["recipe"] for report in reports], folders):
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def _row(name: str, report: Mapping[str, Any]) -> dict[str, Any]:
    int8, model = report["int8"], report["model"]
    return {
        "name": name,
        "model": model["path"],
        "method": int8["method"],
        "accuracy": int8["accuracy"],
        "accuracy_interval": int8["accuracy_interval"],
        "float_accuracy": report["float"]["accuracy"],
        "agreement": int8["agreement"],
        "size_bytes": model["size_bytes"],
        "gzip_bytes": model["gzip_bytes"],
        "p50_ms": int8["p50_ms"],
        "sparsity": int8["sparsity"],
        "test_images": report["data"]["test"],
        "kept": sum(gate["passed"] for gate in report["gates"]),
        "gates": len(report["gates"]),
        "host": report["board"]["board"] or report["board"]["processor"],
    }


def _settings(reports: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What all builds have, and have differently; which stages and networks there are is such a thing, too."""
    flat = [dict(_flattened(report["settings"])) for report in reports]
    shared = [name for name in flat[0] if name != "name" and all(name in settings for settings in flat)]
    values = {name: [settings[name] for settings in flat] for name in shared}
    return [
        {"setting": name, "values": each} for name, each in values.items() if any(value != each[0] for value in each)
    ]


def _flattened(value: Any, name: str = "") -> list[tuple[str, Any]]:
    """``stages.Train.epochs``: a list of settings goes by their types, of which it is a list, too."""
    if isinstance(value, dict):
        return [pair for key, part in value.items() for pair in _flattened(part, f"{name}.{key}" if name else key)]
    if isinstance(value, list) and any(isinstance(part, dict) for part in value):
        types = [part.get("type", "") for part in value]
        parts = zip(types, value, strict=True)
        return [(name, types), *(pair for kind, part in parts for pair in _flattened(part, f"{name}.{kind}"))]
    return [(name, value)]


def _classes(reports: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The accuracy of each class that any build was tested on, where the builds have the same classes."""
    if len({json.dumps(report["data"]["classes"]) for report in reports}) > 1:
        return []
    found = []
    for label in reports[0]["data"]["classes"]:
        values = [report["int8"]["per_class"].get(label, {}).get("accuracy") for report in reports]
        if known := [value for value in values if value is not None]:
            found.append({"class": label, "accuracies": values, "spread": round(max(known) - min(known), 6)})
    return sorted(found, key=lambda each: -each["spread"])[:_CLASSES]


def _warnings(reports: Sequence[Mapping[str, Any]]) -> list[str]:
    said = []
    if len({json.dumps(report["board"], sort_keys=True) for report in reports}) > 1:
        said.append("The latencies are of different hosts: do not compare them.")
    elif len(reports) > 1:
        said.append("The latencies are of different runs; edgecnn bench A.tflite B.tflite times files in turn.")
    tests = [report["data"].get("digests", {}).get("test") for report in reports]
    if len(set(tests)) > 1:
        said.append("The test images are not the same, or it is not known whether they are.")
    if len({json.dumps(report["data"]["classes"]) for report in reports}) > 1:
        said.append("The classes are not the same: accuracies are of different tasks.")
    return said
