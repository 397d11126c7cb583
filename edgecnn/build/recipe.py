"""The words of a build: `Recipe`, `Stage`, `Artifact`, `Gate`, and the `Context` that a stage runs in."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from edgecnn.board import Board, ThisComputer
from edgecnn.compilation import CompileFor
from edgecnn.errors import UsageError
from edgecnn.images import is_label
from edgecnn.preprocess import InputSpec
from edgecnn.progress import Progress

if TYPE_CHECKING:
    from edgecnn.build.data import Dataset, Source
    from edgecnn.build.out_of_set import OutOfSet

Kind = Literal["pixels", "teacher", "keras", "qat", "tflite"]


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """What a stage made.

    Attributes:
        kind: decoded images, which no stage takes or makes; a network that only teaches, a float Keras model, a
            quantization-aware one, or a converted file.
        files: paths by name; a name means the same thing in every stage.
        metrics: figures, as JSON.
        key: hash of all that it depends on.
        parent: the key of the artifact that it was made from, None for the first.
        seconds: how long the stage worked on it.
    """

    kind: Kind
    files: Mapping[str, Path]
    metrics: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""
    parent: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Context:
    """What surrounds a stage: it may read all of this and writes to its workspace alone.

    Attributes:
        recipe: the whole recipe.
        data: the images, split.
        history: the artifacts of the stages before, in order.
        workspace: a folder that outlives a killed build; it becomes the artifact when the stage ends.
        progress: where to say how far it is.
        out_of_set: images that show none of the classes, where the recipe has any.
        tensorboard: where the curves of training go, None where nobody looks; it decides nothing.
        board: what latencies are measured on.
    """

    recipe: "Recipe"
    data: "Dataset"
    history: tuple[Artifact, ...]
    workspace: Path
    progress: Progress
    out_of_set: "Dataset | None" = None
    tensorboard: Path | None = None
    board: Board = field(default_factory=ThisComputer)

    def latest(self, file: str) -> Path | None:
        """The newest file of that name that an earlier stage made, None where none did."""
        return next((artifact.files[file] for artifact in reversed(self.history) if file in artifact.files), None)


class Stage(Protocol):
    """One step of a build: a frozen dataclass of settings, and ``run``.

    Four members are a stage's own choice: ``timed`` is whether its result has or depends on a latency;
    ``misfits(recipe)`` is what of a recipe it does not go with, as ``problems`` are; ``beyond(recipe)`` gives what else
    than settings and parent decides the result, as JSON, and raises where that is not there; ``check(model, context)``
    raises for what can be known of an untrained network, before any work.

    Attributes:
        name: what users see.
        takes: the kinds of artifact it starts from; None is among them where it may stand first.
        makes: the kind it leaves.
        revision: raised when the same settings begin to give another result, so that no stale artifact is taken.
    """

    name: ClassVar[str]
    takes: ClassVar[tuple[Kind | None, ...]]
    makes: ClassVar[Kind]
    revision: ClassVar[int]

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""

    def run(self, artifact: Artifact | None, context: Context) -> Artifact:
        """Make the next artifact; its files are inside ``context.workspace``."""


class Architecture(Protocol):
    """A network that is not built yet: a frozen dataclass of settings."""

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""

    def build(self, spec: InputSpec, classes: int) -> Any:
        """A functional Keras model from (batch, height, width, channels) float32 to logits (batch, classes)."""


class Augmentation(Protocol):
    """A random change of a batch of training images: a frozen dataclass of settings.

    One that mixes images with each other says so by a ``mixes`` of True. Its ``apply`` then gets the shares of the
    classes, (batch, classes) float32, with the same seed, too, and mixes them alike.
    """

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""

    def apply(self, images: Any, seed: Any) -> Any:
        """Images (batch, height, width, channels) float32 in [-1, 1); ``seed`` (2,) int64 decides everything."""


SETTINGS_LIMIT, CARD_LIMIT = 2500, 500
_ROUNDING = 2e-6  # accuracies are rounded to six places, and a drop is the difference of two
AT_LEAST, AT_MOST = ("accuracy", "agreement", "accelerated"), ("drop", "size_bytes", "p50_ms")


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A promise about the file that ships, measured on the test split.

    Attributes:
        name: ``accuracy`` and ``agreement`` (with the Keras model that was converted) are at least, ``drop`` (float
            minus int8 accuracy), ``size_bytes`` and ``p50_ms`` (see `Board`) at most, the limit. ``accelerated`` is the
            share of operators on the accelerator, of the one of the recipe's ``targets`` where it is the least.
        limit: a fraction, bytes or milliseconds.
        images: for ``drop``: the limit is never under this many test images.
    """

    name: str
    limit: float
    images: int = 0

    def problems(self) -> list[str]:
        """What is wrong with it, one sentence each."""
        problems = []
        if self.name not in AT_LEAST + AT_MOST:
            problems.append(f"a gate is one of {', '.join(AT_LEAST + AT_MOST)}, not {self.name!r}")
        if self.limit < 0:
            problems.append(f"the limit of the gate {self.name!r} is not negative, as {self.limit} is")
        return problems

    def allowed(self, images: int) -> float:
        """The limit over so many images."""
        return max(self.limit, self.images / images) if self.images else self.limit

    def judge(self, value: float | None, test_images: int) -> dict[str, Any]:
        """Name, limit, value and whether it passed; what was not measured did not."""
        limit = self.allowed(test_images)
        kept = value is not None and (value >= limit if self.name in AT_LEAST else value <= limit + _ROUNDING)
        return {"name": self.name, "limit": round(limit, 6), "value": value, "passed": kept}


@dataclass(frozen=True, kw_only=True)
class Card:
    """What only people know of a model, for its card (`edgecnn.card`); it stands in the manifest.

    Attributes:
        intended_use: what it is for, in a sentence or two.
        licence: under which it may be used, such as an SPDX expression.
        limits: what it should not be used for, or was not tested on.
    """

    intended_use: str = ""
    licence: str = ""
    limits: tuple[str, ...] = ()

    def problems(self) -> list[str]:
        """What is wrong with it, one sentence each."""
        size = len(json.dumps(asdict(self), ensure_ascii=False).encode())
        return [] if size <= CARD_LIMIT else [f"a Card takes up to {CARD_LIMIT} bytes of the manifest, not {size}"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A build, as data: what is trained on what, through which stages, and what is promised.

    Attributes:
        name: of the bundle, and of the folder that it is written to.
        data: where the images come from.
        input: the network's input.
        architecture: the network.
        stages: what happens, in order.
        augment: what happens to training images, in order.
        gates: what is promised.
        out_of_set: images that show none of the classes, for the threshold under which an answer is unknown.
        targets: what the file that ships is compiled for, beside it; they decide nothing of it.
        card: what the model card says beyond the facts.
        seed: decides every random choice.
    """

    name: str
    data: "Source"
    input: InputSpec
    architecture: Architecture
    stages: tuple[Stage, ...]
    augment: tuple[Augmentation, ...] = ()
    gates: tuple[Gate, ...] = ()
    out_of_set: "OutOfSet | None" = None
    targets: tuple[CompileFor, ...] = ()
    card: Card | None = None
    seed: int = 0

    def settings(self) -> dict[str, Any]:
        """What decides the result, as JSON: all but the images, which have a digest, the gates and targets."""
        return {
            "name": self.name,
            "input": self.input.as_json(),
            "seed": self.seed,
            "architecture": described(self.architecture),
            "augment": [described(step) for step in self.augment],
            "stages": [described(stage) for stage in self.stages],
        }

    def check(self) -> None:
        """Raise one `UsageError` that names every mistake, before any work."""
        parts: list[Any] = [self.data, self.input, self.architecture, *self.augment, *self.stages, *self.gates]
        parts += self.targets
        parts += [part for part in (self.out_of_set, self.card) if part]
        problems = [problem for part in parts for problem in _problems_of(part)] + self._problems()
        if not problems:
            problems = [each for stage in self.stages if hasattr(stage, "misfits") for each in stage.misfits(self)]
        if not problems and (size := len(json.dumps(self.settings()))) > SETTINGS_LIMIT:
            problems.append(f"its settings take {size} bytes of the manifest, which has room for {SETTINGS_LIMIT}")
        if problems:
            raise UsageError(
                f"The recipe {self.name!r} has {counted(len(problems), 'mistake')}: {'; '.join(problems)}.",
                received=self.name,
                accepted="settings in the ranges above",
                remedy="mend the recipe and run the command again",
            )

    def _problems(self) -> list[str]:
        problems = []
        if not is_label(self.name) or any(c in self.name for c in '/\\\0"') or self.name.startswith("."):
            problems.append(f"a name is a file name that is not hidden, not {self.name!a}")
        kind: Kind | None = None
        for stage in self.stages:
            if kind not in stage.takes:
                makers = " or ".join(each for each in stage.takes if each)
                places = ["first"] * (None in stage.takes) + [f"after a stage that makes {makers}"] * bool(makers)
                problems.append(f"the stage {stage.name} stands {' or '.join(places)}")
            kind = stage.makes
        names = [each.target for each in self.targets if isinstance(each, CompileFor)]
        if len(set(names)) < len(names):
            problems.append("a target is compiled for once")
        if not names and any(gate.name == "accelerated" for gate in self.gates if isinstance(gate, Gate)):
            problems.append("the gate 'accelerated' needs targets")
        if not self.stages or self.stages[-1].name != "verify":
            problems.append("the last stage is Verify")
        return problems


def _problems_of(part: Any) -> list[str]:
    """Its own list, or what is wrong where a value is not even of the right type."""
    name = part.__name__ if isinstance(part, type) else type(part).__name__
    try:
        problems: list[str] = part.problems()
    except (TypeError, AttributeError) as error:
        return [f"{name} cannot be checked ({error})"]
    return problems


def described(settings: Any) -> dict[str, Any]:
    """The name, the revision and the fields of a frozen dataclass of settings, as JSON.

    A field whose metadata says ``{"decides": False}`` is left out: where a file is, when its digest says what it is.
    """
    revision = {"revision": settings.revision} if hasattr(settings, "revision") else {}
    return {"type": type(settings).__name__, **revision, **_decisive(settings, asdict(settings))}


def _decisive(settings: Any, values: dict[str, Any]) -> dict[str, Any]:
    """The values of the fields that decide, in parts of settings, too."""
    names = [each.name for each in fields(settings) if each.metadata.get("decides", True)]
    parts = {name: part for name in names if is_dataclass(part := getattr(settings, name))}
    return {name: _decisive(parts[name], values[name]) if name in parts else values[name] for name in names}


def counted(number: int, noun: str) -> str:
    """``1 mistake``, ``3 mistakes``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
