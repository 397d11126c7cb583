"""What every target that compiles shares: what goes in, what comes out, and running a vendor's tool under a limit."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from edgecnn.errors import ModelError, UsageError
from edgecnn.operators import CASTS, Operator
from edgecnn.preprocess import InputSpec

TIMEOUT_S = 300.0
_COMPUTED_IN_INTEGERS = ("int8", "uint8", "int16")
_INSTEAD = {  # what the accelerators do in the place of what they do not
    "HARD_SWISH": "ReLU or ReLU6",
    "ELU": "ReLU or ReLU6",
    "GELU": "ReLU or ReLU6",
    "EXP": "ReLU6, or a softmax at the end alone",
    "LEAKY_RELU": "ReLU or ReLU6",
    "LOGISTIC": "ReLU6 in the network; a softmax at its end",
    "PRELU": "ReLU or ReLU6",
    "MEAN": "a mean over rows and columns alone: SqueezeExcite in the place of CBAM",
    "DIV": "a multiplication by the inverse",
    "BATCH_MATMUL": "a convolution or a dense layer",
    "REDUCE_MAX": "a max pooling over the whole image",
    "SUM": "a mean: GlobalAveragePooling2D",
    "GATHER": "a slice, or a convolution of 1x1",
    "RESIZE_BILINEAR": "a resize to twice the size, or none",
    "SQUEEZE": "a reshape",
}
_IN_FLOAT = "it in int8: no float_layers in the recipe's Convert, and no operator that has no int8"
_OTHERWISE = "another layer, or the same within what is said to be taken"
AFTER = "it comes after"  # how a reason begins that is another operator's


@dataclass(frozen=True, kw_only=True)
class Model:
    """What is compiled: a flatbuffer, and what its bundle says of it."""

    flatbuffer: bytes
    name: str
    labels: tuple[str, ...]
    input: InputSpec | None
    threshold: float | None = None


@dataclass(frozen=True, kw_only=True)
class CompileOptions:
    """How; None is the target's own choice, and what a target does not have is refused.

    Attributes:
        macs: multipliers of the NPU, of an Ethos-U.
        system_config: clocks and bandwidths, as Vela's configuration names them.
        memory_mode: where weights and activations are, as Vela's configuration names it.
        tool: the vendor's compiler; None looks beside this Python, then in PATH.
        timeout_s: how long a tool may take.
    """

    macs: int | None = None
    system_config: str | None = None
    memory_mode: str | None = None
    tool: Path | None = None
    timeout_s: float = TIMEOUT_S


@dataclass(frozen=True, kw_only=True)
class Fallback:
    """An operator that is left to the CPU: the layer that made it, why, and what to write instead."""

    operator: str
    layer: str
    why: str
    instead: str


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """What came of it.

    Attributes:
        tool: what made it, and its version.
        method: ``compiled``; ``exported`` as C; ``screened``: nothing was compiled, and this is what to expect.
        model: the flatbuffer for the target, where it is one.
        files: other files by name.
        operators: of the file that was compiled.
        fallbacks: those of them that are left to the CPU.
        macs: multiplications of convolutions, dense layers and products, in all and of the fallbacks.
        figures: what the tool says of speed and memory, or was measured; names carry units.
        settings: what it was compiled for.
    """

    tool: str
    method: Literal["compiled", "exported", "screened"]
    model: bytes | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    operators: int = 0
    fallbacks: tuple[Fallback, ...] = ()
    macs: tuple[int, int] = (0, 0)
    figures: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def operator_share(self) -> float:
        """Of the operators, how many the accelerator does."""
        return 1 - len(self.fallbacks) / self.operators if self.operators else 0.0

    @property
    def mac_share(self) -> float:
        """Of the multiplications, how many the accelerator does."""
        return 1 - self.macs[1] / self.macs[0] if self.macs[0] else self.operator_share

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and the report; the files have paths there."""
        return {
            "tool": self.tool,
            "method": self.method,
            "operators": self.operators,
            "operator_share": round(self.operator_share, 6),
            "mac_share": round(self.mac_share, 6),
            "fallbacks": [vars(each) for each in self.fallbacks],
            **self.figures,
            "settings": dict(self.settings),
        }


@dataclass(frozen=True, kw_only=True)
class Ability:
    """Whether a target can do something here; ``note`` says what does it, or what to install."""

    able: bool
    note: str


def check_compilable(name: str, found: Sequence[Operator]) -> None:
    """Refuse what no accelerator takes, before its tool may say it in its own words, or nothing.

    Raises:
        ModelError: the file is in float, has dynamic shapes, computes nothing, or was compiled already.
    """
    integers = [op for op in found if _in_integers(op)]
    dynamic = [op for op in found if any(each.dynamic for each in op.tensors)]
    for wrong, what, received, accepted, remedy in (
        (not found, "This file computes nothing", None, "a network", "build it again"),
        (
            any(op.type in MADE_BY for op in found),
            "This file was compiled already",
            next((MADE_BY[op.type] for op in found if op.type in MADE_BY), None),
            "the file that `edgecnn build` wrote",
            "compile that one",
        ),
        (
            bool(dynamic),
            "This file has dynamic shapes",
            ", ".join(dict.fromkeys(layer_of(op) for op in dynamic[:5])),
            "a fixed batch and image size",
            "convert it with a fixed batch of 1, as `edgecnn build --model` does",
        ),
        (
            bool(found) and not integers,
            "This file is in float",
            f"{len(found)} operators in float, the first of the layer {layer_of(found[0])}" if found else None,
            "an int8 file: these accelerators compute in 8 bits",
            "`edgecnn build --model` makes it int8",
        ),
    ):
        if wrong:
            raise ModelError(f"{what}: {name} does not take it.", received=received, accepted=accepted, remedy=remedy)


MADE_BY = {"ethos-u": "Vela's output, for an Ethos-U", "edgetpu-custom-op": "edgetpu_compiler's output"}


def _in_integers(operator: Operator) -> bool:
    """Whether it computes in integers: a cast does not compute."""
    computed = [each for each in operator.tensors if not each.constant]
    return operator.type not in CASTS and all(t.type in _COMPUTED_IN_INTEGERS for t in computed)


def layer_of(operator: Operator) -> str:
    """The layer that made it, to be told of."""
    return operator.name or "a layer without a name"


def fallback(operator: Operator, why: str) -> Fallback:
    """What is left to the CPU, with the layer, and what to write instead."""
    in_float = any(each.type == "float32" for each in operator.tensors)
    if why.startswith(AFTER) or operator.type in CASTS:
        instead = "itself, once what stands beside it is taken"
    else:
        instead = _INSTEAD.get(operator.type) or (_IN_FLOAT if in_float else _OTHERWISE)
    return Fallback(operator=operator.type, layer=layer_of(operator), why=why, instead=instead)


def refuse_options(name: str, options: CompileOptions, *allowed: str) -> None:
    """Refuse what is given and means nothing to a target.

    Raises:
        UsageError: something is.
    """
    given = [key for key in ("macs", "system_config", "memory_mode", "tool") if getattr(options, key) is not None]
    if wrong := [f"--{key.replace('_', '-')}" for key in given if key not in allowed]:
        raise UsageError(
            f"{name} has no such option.",
            received=", ".join(wrong),
            accepted=", ".join(f"--{key.replace('_', '-')}" for key in (*allowed, "timeout")),
            remedy="leave it out",
        )
    if not options.timeout_s > 0:
        raise UsageError(
            "A tool needs some time.", received=options.timeout_s, accepted="seconds, over 0", remedy="leave it out"
        )


def find_tool(name: str, given: Path | None) -> Path | None:
    """A vendor's program: the one that is given, the one beside this Python, or that in PATH.

    Raises:
        UsageError: one is given, and is not there, or cannot be run.
    """
    if given is not None:
        if not (given.is_file() and os.access(given, os.X_OK)):
            raise UsageError(
                "There is no such tool.", received=given, accepted="a program", remedy=f"give the path of {name}"
            )
        return given.resolve()
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.is_file() and os.access(beside, os.X_OK) else shutil.which(name)
    return Path(found) if found else None


def run_tool(command: Sequence[str | Path], *, what: str, timeout_s: float, folder: Path) -> str:
    """Run a vendor's program, and all that it starts, for so long at most.

    Args:
        command: the program and its arguments.
        what: its name, for errors.
        timeout_s: after which it and its children are killed.
        folder: where it runs.

    Returns:
        What it printed, on stdout and stderr.

    Raises:
        UsageError: it cannot be started.
        ModelError: it failed, crashed, or was killed for the time it took.
    """
    try:
        with subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:
            try:
                said = process.communicate(timeout=timeout_s)[0].decode(errors="replace")
            except BaseException as error:
                os.killpg(process.pid, signal.SIGKILL)
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
                raise ModelError(
                    f"{what} did not end in {timeout_s:g} s, and was stopped.",
                    accepted="a network that it compiles in that time",
                    remedy="give it more with --timeout, or try a smaller network",
                ) from error
    except OSError as error:
        raise UsageError(
            f"{what} cannot be run.", received=f"{command[0]}: {error.strerror}", remedy="install it again, or --tool"
        ) from error
    if process.returncode:
        code = process.returncode
        ended = f"crashed ({signal.Signals(-code).name})" if code < 0 else f"failed (exit code {code})"
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        raise ModelError(
            f"{what} {ended}.",
            received=lines[-1] if lines else "it said nothing",
            accepted="a whole int8 .tflite of operators that it knows, and options that go together",
            remedy="look at what it says; another network or other options may pass",
        )
    return said


def nothing_done(what: str, why: str) -> ModelError:
    """A tool that ended well and did nothing."""
    return ModelError(
        f"{what} ended well, and {why}.",
        accepted="a compiled file",
        remedy="look at `edgecnn targets MODEL`; another version of the tool, or another network, may pass",
    )
