"""A bundle for an accelerator: compile it and write what comes of it; and the table of all targets."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edgecnn import targets
from edgecnn.bundle import Bundle
from edgecnn.errors import EdgecnnError, GateError, UsageError
from edgecnn.files import write_atomically
from edgecnn.silence import silenced
from edgecnn.targets.compiling import Compiled, CompileOptions, Model

RUNS = 100


@dataclass(frozen=True, kw_only=True)
class CompileFor:
    """A target that a model is compiled for, and how: what ``targets`` of a recipe holds.

    Attributes:
        target: a name in `edgecnn.targets.TARGETS`.
        options: see `CompileOptions`.
    """

    target: str
    options: CompileOptions = field(default_factory=CompileOptions)

    def problems(self) -> list[str]:
        """What is wrong with it, one sentence each."""
        found = targets.TARGETS.get(self.target)
        if found is None or _nothing_to_compile(self.target):
            able = ", ".join(name for name in targets.TARGETS if not _nothing_to_compile(name))
            return [f"what a model is compiled for is one of {able}, not {self.target!r}"]
        return []

    def check_installed(self) -> None:
        """Make sure that what compiles for it is here.

        Raises:
            UsageError: it is not.
        """
        ability = targets.named(self.target).compiling()
        if ability is None or not (ability.able or self.options.tool):
            raise UsageError(
                f"Nothing here compiles for {self.target}.",
                received=ability.note if ability else self.target,
                accepted="targets whose compiler is installed: `edgecnn targets` lists them",
                remedy="install it, or leave the target out",
            )


def _nothing_to_compile(name: str) -> bool:
    return targets.TARGETS[name].general


def compile_bundle(bundle: Bundle, asked: CompileFor, *, name: str) -> Compiled:
    """Compile, and write nothing.

    Args:
        bundle: what to compile.
        asked: the target, and how.
        name: of the model, for the files of ``micro``.

    Raises:
        ModelError: the model cannot be compiled, or a vendor's tool failed, crashed, hung or did nothing.
        UsageError: there is no such target or option, or the tool is not installed.
    """
    model = Model(
        flatbuffer=bundle.model,
        name=name,
        labels=bundle.labels,
        input=bundle.input,
        threshold=bundle.threshold,
    )
    return targets.named(asked.target).compile(model, asked.options)


def write(compiled: Compiled, bundle: Bundle, asked: CompileFor, out: Path) -> None:
    """Write a file for the target, which keeps the bundle's manifest, or a folder of files.

    Raises:
        UsageError, DeviceError: it cannot be written there.
    """
    for name, data in compiled.files.items():
        write_atomically(out / name, data)
    if compiled.model is not None:
        facts = {"target": asked.target, "tool": compiled.tool, **compiled.settings}
        bundle.compiled(compiled.model, facts).write(out)


def place_for(model: Path, asked: CompileFor) -> Path:
    """Where a compiled file goes that nobody named a place for: beside the model."""
    if asked.target == "micro":
        return model.with_name(f"{model.stem}-micro")
    return model.with_name(f"{model.stem}.{asked.target}.tflite")


def document(compiled: Compiled, asked: CompileFor, out: Path | None) -> dict[str, Any]:
    """What came of it, as JSON."""
    return {"target": asked.target, "path": None if out is None else str(out), **compiled.as_json()}


def refusal(compiled: Compiled, asked: CompileFor, *, allow_cpu: bool) -> EdgecnnError | None:
    """Why this is not what was asked for: nothing was compiled, or something is left to the CPU."""
    if compiled.method == "screened":
        return UsageError(
            f"Nothing was compiled for {asked.target}: this is a screen.",
            received=compiled.tool,
            accepted="a computer with the vendor's compiler",
            remedy="install it, or name it with --tool",
        )
    if compiled.fallbacks and not allow_cpu:
        left = len(compiled.fallbacks)
        return GateError(
            f"{left} of {compiled.operators} operators are left to the CPU. The file is kept.",
            received=", ".join(dict.fromkeys(f"{each.operator} of {each.layer}" for each in compiled.fallbacks[:5])),
            accepted="all on the accelerator",
            remedy="write what is said above in their place, or allow it with --allow-cpu",
        )
    return None


def abilities() -> list[dict[str, Any]]:
    """Every target: what runs it here and what compiles for it, or what is missing."""
    rows: list[dict[str, Any]] = []
    for name, target in targets.TARGETS.items():
        row: dict[str, Any] = {"target": name}
        for what, ability in (("runs", target.running()), ("compiles", target.compiling())):
            row[what] = None if ability is None else asdict(ability)
        rows.append(row)
    return rows


def survey(bundle: Bundle, *, name: str, on_target: Callable[[int, int, str], None]) -> list[dict[str, Any]]:
    """One row a target for a model: what it can do there, how fast, in what memory, and how near to the reference.

    Args:
        bundle: the model.
        name: of it.
        on_target: told how many targets are done, of how many, and the next.
    """
    rows = []
    for done, (target, able) in enumerate(zip(targets.TARGETS, abilities(), strict=True)):
        on_target(done, len(targets.TARGETS), target)
        try:
            row = _ran(bundle, target) if targets.TARGETS[target].general else _compiled(bundle, target, name)
        except EdgecnnError as error:
            missing = [each["note"] for each in (able["compiles"] or able["runs"],) if each and not each["able"]]
            said = error.message if error.received is None else f"{error.message} {error.received}"
            row = {"status": "not installed" if missing else "refused", "note": missing[0] if missing else said}
        rows.append({"target": target, **row})
    return rows


def _ran(bundle: Bundle, name: str) -> dict[str, Any]:
    """Latency of one thread, and the agreement with the reference kernels."""
    from edgecnn.bench import interleaved, prepare
    from edgecnn.targets.agreement import agreement_of

    target = targets.choose(name)
    with silenced():  # one of them is TensorFlow, which greets
        target.ready()
    session = target.load(bundle.model, threads=1)
    reference = targets.choose("litert").load(bundle.model, threads=1, reference=True)
    agreement = agreement_of(session, reference)
    (stats,) = interleaved([prepare(session)], runs=RUNS)
    return {"status": "runs", "note": session.runtime, "p50_ms": stats.p50_ms, "agreement": agreement}


def _compiled(bundle: Bundle, name: str, model: str) -> dict[str, Any]:
    compiled = compile_bundle(bundle, CompileFor(target=name), name=model)
    found = compiled.as_json()
    if compiled.method == "screened":
        status = "screened: falls back" if compiled.fallbacks else "screened: nothing against it"
        return {"status": status, **found, "note": targets.named(name).compiling().note}  # type: ignore[union-attr]
    return {"status": "falls back" if compiled.fallbacks else compiled.method, **found, "note": compiled.tool}
