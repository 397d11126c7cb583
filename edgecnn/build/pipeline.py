"""A build: every stage in order, each from the cache where it is finished, then the report."""

import hashlib
import importlib.util
import json
import logging
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgecnn import compilation
from edgecnn.board import Board, ThisComputer
from edgecnn.build.balance import imbalance
from edgecnn.build.cache import Cache
from edgecnn.build.data import Dataset
from edgecnn.build.out_of_set import check_apart
from edgecnn.build.preflight import preflight
from edgecnn.build.recipe import Artifact, Context, Recipe, Stage, described
from edgecnn.build.report import facts, files_of
from edgecnn.build.report.examine import PICTURES, REVISION, examine
from edgecnn.build.sample_page import SAMPLES_FILE, write_samples
from edgecnn.build.schedule import Schedule
from edgecnn.build.verify import BUNDLE_FILE
from edgecnn.build.versions import versions
from edgecnn.bundle import Bundle
from edgecnn.card import card
from edgecnn.compilation import CompileFor
from edgecnn.errors import MissingExtraError
from edgecnn.files import check_folder, write_atomically, writing_to
from edgecnn.latency import available_cores
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
    board: Board | None = None,
) -> dict[str, Any]:
    """Build a recipe; a stage that is finished is not run again, and one that was killed goes on.

    Args:
        recipe: what to build.
        out: the folder that gets ``NAME.tflite``, its ``MODEL_CARD.md``, ``report.json`` and ``report.html``, what is
            compiled for the recipe's targets, and where something is trained, ``samples.png``; of a build that fails at
            a stage, a report of that.
        progress: where to say how far it is; None says nothing.
        cache: where finished stages are; None takes the user's.
        tensorboard: where the curves of what is trained now go, one folder a stage.
        board: what latencies are measured on, those of budgets, too; None takes this computer.

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
    check_folder(out)
    cache, progress, board = cache or Cache(), progress or Silent(), board or ThisComputer()
    if tensorboard:
        with writing_to(tensorboard):
            tensorboard.mkdir(parents=True, exist_ok=True)
    trail, model = Trail(), (out / f"{recipe.name}.tflite").resolve()
    try:
        history, stages = follow(
            recipe, progress=progress, cache=cache, tensorboard=tensorboard, trail=trail, board=board
        )
        if tensorboard and all(stage["cached"] for stage in stages):
            progress.say(f"nothing was trained now, and there are no curves in {tensorboard}")
        examined = _examined(recipe, trail, progress, cache)
        bundle, trail.at = Bundle.read(history[-1].files[BUNDLE_FILE]), "compiling"
        compiled = _compile(recipe, bundle, progress)
    except Exception as error:
        if trail.at:
            _say_where(recipe, trail, error, model, progress)
        raise
    document = facts.report(recipe, history, examined, model, stages, compiled, board)
    samples = facts.samples(history)
    files = files_of(document, pictures=examined.files[PICTURES], samples=samples)
    files[facts.CARD] = card(bundle, document).encode(errors="replace")
    with cache.locked(history[-1].key, progress):  # two builds may have one place to write to
        write_atomically(model, history[-1].files[BUNDLE_FILE].read_bytes())
        if samples:
            write_atomically(model.with_name(SAMPLES_FILE), samples.read_bytes())
        for asked, made in compiled.items():
            compilation.write(made, bundle, asked, compilation.place_for(model, asked))
        for name, content in files.items():
            write_atomically(model.with_name(name), content)
    return document


@dataclass
class Trail:
    """How far a build has come.

    Attributes:
        at: what it is at, nothing before the first stage.
        data: the images, loaded or not.
        history: what its stages made.
        stages: what the report says of them.
    """

    at: str = ""
    data: Dataset | None = None
    history: tuple[Artifact, ...] = ()
    stages: list[dict[str, Any]] = field(default_factory=list)


def follow(
    recipe: Recipe,
    *,
    progress: Progress,
    cache: Cache,
    tensorboard: Path | None = None,
    trail: Trail | None = None,
    board: Board | None = None,
) -> tuple[tuple[Artifact, ...], list[dict[str, Any]]]:
    """The artifacts of a recipe's stages, in order, and what the report says of each stage.

    Args:
        recipe: what to build; not checked, and it need not end in `Verify`.
        progress: where to say how far it is.
        cache: where finished stages are.
        tensorboard: see `run`.
        trail: kept up while it goes on, for who wants to know where it ended.
        board: see `run`.
    """
    _LOG.debug("versions: %s", ", ".join(f"{name} {version}" for name, version in versions().items()))
    trail, board = trail or Trail(), board or ThisComputer()
    # before any work, for weights or the board may be missing
    beyond = [_beyond(stage, recipe, board) for stage in recipe.stages]
    trail.data = data = recipe.data.open(recipe.input, progress)
    out_of_set = recipe.out_of_set.open(recipe.input, progress) if recipe.out_of_set else None
    key: str | None = None
    checked = False
    for stage, others in zip(recipe.stages, beyond, strict=True):
        trail.at = stage.name
        key = _key(described(stage), key or _root_key(recipe, data), *others)
        _LOG.debug("%s: key %s in %s", stage.name, key, cache.root)
        with cache.locked(key, progress):
            artifact = cache.find(key)
            if cached := artifact is not None:
                progress.say(f"{stage.name}: done before")
            else:
                trail.at = f"the images, before {stage.name}"
                data.load(progress, cache)
                if out_of_set:
                    out_of_set.load(progress, cache)
                    check_apart(out_of_set, data)
                context = Context(
                    recipe=recipe,
                    data=data,
                    history=trail.history,
                    workspace=cache.workspace(key),
                    progress=progress,
                    out_of_set=out_of_set,
                    tensorboard=tensorboard,
                    board=board,
                )
                if not checked and stage.makes != "tflite":  # what can be known before work is known first
                    trail.at = "the check of the network, before any training"
                    preflight(context)
                    checked = True
                trail.at = stage.name
                artifact = _run(stage, key, context, cache)
                progress.say(f"{stage.name}: {artifact.seconds:.0f} s")
        trail.history += (artifact,)
        trail.stages.append({"name": stage.name, "key": key, "seconds": artifact.seconds, "cached": cached})
    return trail.history, trail.stages


def _examined(recipe: Recipe, trail: Trail, progress: Progress, cache: Cache) -> Artifact:
    """What the report says of the bundle beyond what `Verify` has measured; made once, as a stage is."""
    assert trail.data, "`follow` has opened it"
    key, trail.at = _key("report", REVISION, trail.history[-1].key), "the report"
    with cache.locked(key, progress):
        if found := cache.find(key):
            return found
        trail.data.load(progress, cache)
        context = Context(
            recipe=recipe, data=trail.data, history=trail.history, workspace=cache.workspace(key), progress=progress
        )
        start = time.monotonic()
        made = examine(context)
        seconds = round(time.monotonic() - start, 1)
        return cache.keep(replace(made, key=key, parent=trail.history[-1].key, seconds=seconds))


def _say_where(recipe: Recipe, trail: Trail, error: Exception, model: Path, progress: Progress) -> None:
    """Leave a report of a build that came to nothing; the error that ended it is what counts, whatever happens here."""
    history, stages = trail.history, trail.stages
    with suppress(Exception):
        document = facts.failure(recipe, error, at=trail.at, history=history, stages=stages, model=model)
        for name, content in files_of(document).items():
            write_atomically(model.with_name(name), content)
        progress.say(f"where it failed, and why: {document['page']}")


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
    if not isinstance(stage, Schedule) or facts.samples(context.history):
        return {}
    if not stage.class_weights and (uneven := imbalance(context.data["train"].labels, context.data.labels)):
        context.progress.say(f"{stage.name}: {uneven}")
    page = write_samples(context, context.workspace)
    context.progress.say(f"{stage.name}: samples of what it is trained on, while it is: {page}")
    return {SAMPLES_FILE: page}


def _beyond(stage: Stage, recipe: Recipe, board: Board) -> tuple[Any, ...]:
    """What decides the result of a stage beside its settings and its parent."""
    timed = (dict(board.facts()),) if getattr(stage, "timed", False) else ()
    return (*(stage.beyond(recipe) if hasattr(stage, "beyond") else ()), *timed)


def _root_key(recipe: Recipe, data: Dataset) -> str:
    """Of all that every stage depends on; the number of threads decides the order of additions, so it is here too."""
    settings = {name: value for name, value in recipe.settings().items() if name != "stages"}
    return _key(settings, data.digest, versions(), available_cores())


def _key(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _compile(recipe: Recipe, bundle: Bundle, progress: Progress) -> dict[CompileFor, Compiled]:
    """For each target of the recipe."""
    made = {}
    for done, asked in enumerate(recipe.targets):
        progress.update(done, len(recipe.targets) if done else 0, f"compile for {asked.target}")
        made[asked] = compilation.compile_bundle(bundle, asked, name=recipe.name)
    return made


def check_installed() -> None:
    """Make sure that what a build needs is there.

    Raises:
        MissingExtraError: it is not.
    """
    needed = ("tensorflow", "tf_keras", "tensorflow_model_optimization", "jinja2")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(", ".join(missing), "build")
