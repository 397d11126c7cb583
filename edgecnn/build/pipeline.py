"""A build: every stage in order, each from the cache where it is finished, then the report."""

import hashlib
import importlib.util
import json
import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgecnn import compilation
from edgecnn.build.balance import imbalance
from edgecnn.build.cache import Cache
from edgecnn.build.data import Dataset
from edgecnn.build.out_of_set import check_apart
from edgecnn.build.preflight import preflight
from edgecnn.build.recipe import Artifact, Context, Recipe, Stage, described
from edgecnn.build.sample_page import SAMPLES_FILE, write_samples
from edgecnn.build.schedule import Schedule
from edgecnn.build.verify import BUNDLE_FILE
from edgecnn.build.versions import versions
from edgecnn.bundle import Bundle
from edgecnn.compilation import CompileFor
from edgecnn.errors import MissingExtraError
from edgecnn.files import write_atomically, writing_to
from edgecnn.latency import available_cores, host_facts
from edgecnn.progress import Progress, Silent
from edgecnn.targets.compiling import Compiled

_LOG = logging.getLogger(__name__)


def run(
    recipe: Recipe,
    *,
    out: Path,
    progress: Progress | None = None,
    cache: Cache | None = None,
    tensorboard: Path | None = None,
) -> dict[str, Any]:
    """Build a recipe; a stage that is finished is not run again, and one that was killed goes on.

    Args:
        recipe: what to build.
        out: the folder that gets ``NAME.tflite``, what is compiled for the recipe's targets, ``report.json``, and
            where something is trained, ``samples.png``.
        progress: where to say how far it is; None says nothing.
        cache: where finished stages are; None takes the user's.
        tensorboard: where the curves of what is trained now go, one folder a stage.

    Returns:
        The report, also where a gate was missed: see ``report["gates"]``.

    Raises:
        UsageError: the recipe has mistakes, or the build's libraries are not installed.
        DataError, ModelError, DeviceError: see `edgecnn.errors`.
    """
    recipe.check()
    check_installed()
    for each in recipe.targets:
        each.check_installed()
    cache, progress = cache or Cache(), progress or Silent()
    if tensorboard:
        with writing_to(tensorboard):
            tensorboard.mkdir(parents=True, exist_ok=True)
    history, stages = follow(recipe, progress=progress, cache=cache, tensorboard=tensorboard)
    if tensorboard and all(stage["cached"] for stage in stages):
        progress.say(f"nothing was trained now, and there are no curves in {tensorboard}")
    model = (out / f"{recipe.name}.tflite").resolve()
    with cache.locked(history[-1].key, progress):  # two builds may have one place to write to
        write_atomically(model, history[-1].files[BUNDLE_FILE].read_bytes())
        if samples := _samples(history):
            write_atomically(model.with_name(SAMPLES_FILE), samples.read_bytes())
        compiled = _compile(recipe, model, progress)
        report = _report(recipe, history, model, stages, compiled)
        write_atomically(model.with_name("report.json"), (json.dumps(report, indent=2) + "\n").encode())
    return report


def follow(
    recipe: Recipe, *, progress: Progress, cache: Cache, tensorboard: Path | None = None
) -> tuple[tuple[Artifact, ...], list[dict[str, Any]]]:
    """The artifacts of a recipe's stages, in order, and what the report says of each stage.

    Args:
        recipe: what to build; not checked, and it need not end in `Verify`.
        progress: where to say how far it is.
        cache: where finished stages are.
        tensorboard: see `run`.
    """
    _LOG.debug("versions: %s", ", ".join(f"{name} {version}" for name, version in versions().items()))
    beyond = [_beyond(stage, recipe) for stage in recipe.stages]  # before any work: weights may be missing
    data = recipe.data.open(recipe.input)
    out_of_set = recipe.out_of_set.open(recipe.input) if recipe.out_of_set else None
    key: str | None = None
    history: tuple[Artifact, ...] = ()
    stages, checked = [], False
    for stage, others in zip(recipe.stages, beyond, strict=True):
        key = _key(described(stage), key or _root_key(recipe, data), *others)
        _LOG.debug("%s: key %s in %s", stage.name, key, cache.root)
        with cache.locked(key, progress):
            artifact = cache.find(key)
            if cached := artifact is not None:
                progress.say(f"{stage.name}: done before")
            else:
                data.load(progress, cache)
                if out_of_set:
                    out_of_set.load(progress, cache)
                    check_apart(out_of_set, data)
                context = Context(
                    recipe=recipe,
                    data=data,
                    history=history,
                    workspace=cache.workspace(key),
                    progress=progress,
                    out_of_set=out_of_set,
                    tensorboard=tensorboard,
                )
                if not checked and stage.makes != "tflite":  # what can be known before work is known first
                    preflight(context)
                    checked = True
                artifact = _run(stage, key, context, cache)
                progress.say(f"{stage.name}: {artifact.seconds:.0f} s")
        history += (artifact,)
        stages.append({"name": stage.name, "key": key, "seconds": artifact.seconds, "cached": cached})
    return history, stages


def _run(stage: Stage, key: str, context: Context, cache: Cache) -> Artifact:
    parent = context.history[-1] if context.history else None
    context.progress.update(0, 0, stage.name)
    start = time.monotonic()
    shown = _show_data(stage, context)
    made = stage.run(parent, context)
    made = replace(made, files={**made.files, **shown})
    seconds = round(time.monotonic() - start, 1)
    return cache.keep(replace(made, key=key, parent=parent.key if parent else None, seconds=seconds))


def _show_data(stage: Stage, context: Context) -> dict[str, Path]:
    """Before the first stage that trains: what it will be trained on, as a page that becomes one of its files."""
    if not isinstance(stage, Schedule) or _samples(context.history):
        return {}
    if not stage.class_weights and (uneven := imbalance(context.data["train"].labels, context.data.labels)):
        context.progress.say(f"{stage.name}: {uneven}")
    page = write_samples(context, context.workspace)
    context.progress.say(f"{stage.name}: samples of what it is trained on, while it is: {page}")
    return {SAMPLES_FILE: page}


def _samples(history: tuple[Artifact, ...]) -> Path | None:
    return next((made.files[SAMPLES_FILE] for made in history if SAMPLES_FILE in made.files), None)


def _beyond(stage: Stage, recipe: Recipe) -> tuple[Any, ...]:
    """What decides the result of a stage beside its settings and its parent."""
    return tuple(stage.beyond(recipe)) if hasattr(stage, "beyond") else ()


def _root_key(recipe: Recipe, data: Dataset) -> str:
    """Of all that every stage depends on; the number of threads decides the order of additions, so it is here too."""
    settings = {name: value for name, value in recipe.settings().items() if name != "stages"}
    return _key(settings, data.digest, versions(), available_cores())


def _key(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _compile(recipe: Recipe, model: Path, progress: Progress) -> dict[CompileFor, Compiled]:
    """For each target of the recipe, beside the model."""
    made = {}
    for asked in recipe.targets:
        progress.update(0, 0, f"compile for {asked.target}")
        bundle = Bundle.read(model)
        made[asked] = compilation.compile_bundle(bundle, asked, name=recipe.name)
        compilation.write(made[asked], bundle, asked, compilation.place_for(model, asked))
    return made


def _report(
    recipe: Recipe,
    history: tuple[Artifact, ...],
    model: Path,
    stages: list[dict[str, Any]],
    compiled: dict[CompileFor, Compiled],
) -> dict[str, Any]:
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
    return {
        "schema": 1,
        "recipe": recipe.name,
        "settings": recipe.settings(),
        "model": {"path": str(model), **figures["model"]},
        "samples": str(model.with_name(SAMPLES_FILE)) if _samples(history) else None,
        "float": figures["float"],
        "ptq": figures["ptq"],
        "int8": int8,
        **{name: figures[name] for name in ("confidence", "steps", "candidates", "sensitivity")},
        "data": figures["data"],
        "gates": [gate.judge(values[gate.name], figures["data"]["test"]) for gate in recipe.gates],
        "targets": [
            compilation.document(made, asked, compilation.place_for(model, asked)) for asked, made in compiled.items()
        ],
        "start": next((made.metrics["start"] for made in history if "start" in made.metrics), None),
        "pruning": [step for made in history for step in made.metrics.get("pruning", [])],
        "stages": stages,
        "host": host_facts(),
        "versions": versions(),
    }


def _drop(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else round(before - after, 6)


def check_installed() -> None:
    """Make sure that what a build needs is there.

    Raises:
        MissingExtraError: it is not.
    """
    needed = ("tensorflow", "tf_keras", "tensorflow_model_optimization")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(", ".join(missing), "build")
