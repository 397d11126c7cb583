"""What a report says, as JSON: of a build that ended, and of one that failed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgecnn import compilation
from edgecnn.board import Board
from edgecnn.build.recipe import Artifact, Recipe
from edgecnn.build.sample_page import SAMPLES_FILE
from edgecnn.build.verify import BUNDLE_FILE
from edgecnn.build.versions import versions
from edgecnn.bundle import Bundle
from edgecnn.compilation import CompileFor
from edgecnn.errors import EdgecnnError, error_document
from edgecnn.latency import host_facts
from edgecnn.targets.compiling import Compiled

PAGE, FACTS, CARD = "report.html", "report.json", "MODEL_CARD.md"


def report(
    recipe: Recipe,
    history: Sequence[Artifact],
    examined: Artifact,
    model: Path,
    stages: Sequence[Mapping[str, Any]],
    compiled: Mapping[CompileFor, Compiled],
    board: Board,
) -> dict[str, Any]:
    """What a build came to.

    Args:
        recipe: what was built.
        history: what its stages made, in order; the last is of `Verify`.
        examined: see `edgecnn.build.report.examine`.
        model: where the file is.
        stages: name, key, seconds of each, and whether it was done before.
        compiled: what was made of the file for the recipe's targets.
        board: what latencies were measured on.
    """
    figures = history[-1].metrics
    int8 = figures["int8"]
    values = {
        "accuracy": int8["accuracy"],
        "agreement": int8["agreement"],
        "drop": _drop(figures["float"]["accuracy"], int8["accuracy"]),
        "size_bytes": figures["model"]["size_bytes"],
        "p50_ms": int8["p50_ms"],
        "accelerated": min((made.operator_share for made in compiled.values()), default=None),
    }
    splits = (Bundle.read(history[-1].files[BUNDLE_FILE]).manifest or {})["splits"]
    return {
        "schema": 1,
        "recipe": recipe.name,
        "settings": recipe.settings(),
        "model": {"path": str(model), **figures["model"]},
        "page": str(model.with_name(PAGE)),
        "card": str(model.with_name(CARD)),
        "samples": str(model.with_name(SAMPLES_FILE)) if samples(history) else None,
        "float": figures["float"],
        "ptq": figures["ptq"],
        "int8": int8,
        **{name: figures[name] for name in ("confidence", "steps", "candidates", "sensitivity")},
        **examined.metrics,
        "data": {**figures["data"], **splits},
        "gates": [gate.judge(values[gate.name], figures["data"]["test"]) for gate in recipe.gates],
        "targets": [
            compilation.document(made, asked, compilation.place_for(model, asked)) for asked, made in compiled.items()
        ],
        "start": next((made.metrics["start"] for made in history if "start" in made.metrics), None),
        "pruning": [step for made in history for step in made.metrics.get("pruning", [])],
        "training": training(history, stages),
        "stages": list(stages),
        "board": dict(board.facts()),
        "host": host_facts(),
        "versions": versions(),
    }


def failure(
    recipe: Recipe,
    error: BaseException,
    *,
    at: str,
    history: Sequence[Artifact],
    stages: Sequence[Mapping[str, Any]],
    model: Path,
) -> dict[str, Any]:
    """Where and why a build ended that came to nothing.

    Args:
        recipe: what was to be built.
        error: what ended it.
        at: what it was at.
        history: what was made before.
        stages: see `report`.
        model: where the file would be; what is there is of an earlier build.
    """
    if isinstance(error, EdgecnnError):
        why = error.as_json()["error"]
    else:
        why = error_document("bug", f"{type(error).__name__}: {error}", None, None, "please report it")["error"]
    return {
        "schema": 1,
        "recipe": recipe.name,
        "settings": recipe.settings(),
        "failed": {"at": at, **why, "earlier_model": model.name if model.exists() else None},
        "page": str(model.with_name(PAGE)),
        "training": training(history, stages),
        "stages": list(stages),
        "host": host_facts(),
        "versions": versions(),
    }


def training(history: Sequence[Artifact], stages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The figures of each epoch, of the stages that trained; of `PruneChannels` those after its last step."""
    return [
        {"stage": stage["name"], "epochs": made.metrics["history"]}
        for stage, made in zip(stages, history, strict=True)
        if made.metrics.get("history")
    ]


def samples(history: Sequence[Artifact]) -> Path | None:
    """The page of training images, where anything was trained."""
    return next((made.files[SAMPLES_FILE] for made in history if SAMPLES_FILE in made.files), None)


def _drop(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else round(before - after, 6)
