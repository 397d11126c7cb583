"""TensorFlow Lite for Microcontrollers: the file as C, and run here through the kernels of a microcontroller.

`load` runs them in this process. `compile` measures in a process of its own, whose end and time are watched.
"""

import importlib
import importlib.util
import json
import re
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import numpy as np

from edgecnn.errors import BundleError, EdgecnnError, MissingExtraError, ModelError, UsageError
from edgecnn.operators import operators
from edgecnn.silence import silenced
from edgecnn.targets.agreement import agreement_of
from edgecnn.targets.compiling import (
    Ability,
    Compiled,
    CompileOptions,
    Model,
    check_compilable,
    fallback,
    refuse_options,
    run_tool,
)
from edgecnn.targets.micro_export import RESOLVER_METHODS, export
from edgecnn.targets.session import Array, TensorInfo, edges, package_version

_MODULE = "tflite_micro.python.tflite_micro.runtime"
_ARENA = re.compile(r"Arena allocation total (\d+) bytes")
_NOT_THERE = re.compile(r"Didn't find op for builtin opcode '(\w+)'")
_TRIALS, _STEP_BYTES = 64, 1024


class MicroTarget:
    """The package tflite-micro is imported when a model is loaded, and only then."""

    package = "tflite-micro"
    general: ClassVar[bool] = False

    def installed(self) -> bool:
        """Whether the package is here."""
        return importlib.util.find_spec("tflite_micro") is not None

    def running(self) -> Ability:
        """See `edgecnn.targets.Target`."""
        here = self.installed()
        return Ability(able=here, note="tflite-micro" if here else "tflite-micro: pip install '.[micro]'")

    compiling = running

    def ready(self) -> None:
        """Import the package."""
        self._module()

    def load(self, model: bytes, *, threads: int, reference: bool = False) -> "MicroSession":
        """Load into the interpreter for microcontrollers, which has one thread and reference kernels, always.

        Raises:
            BundleError: the interpreter refuses the model.
            UsageError: the package is there and broken.
        """
        module = self._module()
        start = time.perf_counter_ns()
        try:
            with silenced() as caught:
                interpreter = module.Interpreter.from_bytes(model, arena_size=_enough(model))
        except (ValueError, RuntimeError) as error:
            lines = caught.text.strip().splitlines()
            raise BundleError(
                "The interpreter for microcontrollers cannot load this model.",
                received=lines[0] if lines else str(error),
                accepted="a .tflite of operators that TensorFlow Lite for Microcontrollers knows",
                remedy="run it with --target litert",
            ) from error
        took = time.perf_counter_ns() - start
        return MicroSession(interpreter, model, f"tflite-micro {package_version('tflite-micro')}", load_ms=took / 1e6)

    def compile(self, model: Model, options: CompileOptions) -> Compiled:
        """Write the model as C, with a program around it; measure its arena, and hold its outputs against REF.

        Raises:
            ModelError: the model is not one for microcontrollers, or its kernels failed, crashed or hung.
            MissingExtraError: tflite-micro is not installed.
        """
        refuse_options("micro", options)
        found = operators(model.flatbuffer, all_graphs=True)
        check_compilable("micro", found)
        if unknown := next((op.type for op in found if op.type not in RESOLVER_METHODS), None):
            raise _without(unknown, model.flatbuffer)
        if not self.installed():
            raise MissingExtraError("tflite-micro", "micro")
        figures = _measured(model.flatbuffer, options.timeout_s)
        return Compiled(
            tool=f"tflite-micro {package_version('tflite-micro')}",
            method="exported",
            files=export(model, found, arena_bytes=figures["arena_bytes"]),
            operators=len(found),
            macs=(sum(op.macs for op in found), 0),
            figures={**figures, "flash_bytes": len(model.flatbuffer)},
        )

    def _module(self) -> Any:
        try:
            return importlib.import_module(_MODULE)
        except (ImportError, AttributeError) as error:
            raise UsageError(
                "tflite-micro is installed, and cannot be imported.",
                received=str(error),
                remedy="pip install '.[micro]' again, or choose another --target",
            ) from error


class MicroSession:
    """A `Session` over one interpreter. Not for use by two threads at once."""

    allocate_ms = 0.0  # it loads and allocates at once

    def __init__(self, interpreter: Any, model: bytes, runtime: str, *, load_ms: float) -> None:
        self.runtime, self.load_ms = runtime, load_ms
        self._interpreter = interpreter
        self.inputs: tuple[TensorInfo, ...]
        self.outputs: tuple[TensorInfo, ...]
        self.inputs, self.outputs = edges(model)

    def set_input(self, value: Array, index: int = 0) -> None:
        """Hand over one input."""
        self._interpreter.set_input(np.ascontiguousarray(value), index)

    def invoke(self) -> None:
        """Run the model once."""
        self._interpreter.invoke()

    def output(self, index: int = 0) -> Array:
        """A copy of one output of the last invoke."""
        return np.array(self._interpreter.get_output(index))


def _enough(model: bytes) -> int:
    """Room for every activation at once, and for what the interpreter notes of each operator and channel."""
    found = operators(model, all_graphs=True)
    activations = sum(each.bytes for op in found for each in op.outputs)
    constants = sum(each.bytes // 4 for op in found for each in op.tensors if each.constant)
    return activations + constants + 4096 * len(found) + 200_000


def _without(operator: str, model: bytes) -> ModelError:
    """The kernels have no such operator."""
    left = [fallback(op, "") for op in operators(model, all_graphs=True) if op.type == operator]
    return ModelError(
        f"TensorFlow Lite for Microcontrollers has no kernel for {operator}, as this file wants it.",
        received=", ".join(dict.fromkeys(f"{each.operator} of {each.layer}" for each in left)),
        accepted="operators that it has",
        remedy=f"write {left[0].instead} in its place" if left else "write another layer in its place",
    )


def _measured(model: bytes, timeout_s: float) -> dict[str, Any]:
    """The arena, and the agreement with the reference kernels, from a process of its own."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model.tflite").write_bytes(model)
        command = [sys.executable, "-c", f"from {__name__} import main; main('model.tflite', 'figures.json')"]
        try:
            run_tool(command, what="tflite-micro", timeout_s=timeout_s, folder=folder)
        except ModelError as error:
            if found := _NOT_THERE.search(str(error.received)):
                raise _without(found[1], model) from error
            raise
        figures: dict[str, Any] = json.loads((folder / "figures.json").read_text())
    return figures


def measure(model: bytes) -> dict[str, Any]:
    """Random images through the kernels of microcontrollers and through the reference kernels of LiteRT.

    Returns:
        ``arena_bytes``, in which the model was loaded and run; ``agreement``: how many images, the largest difference
        of an output in quantization steps, and the share of images with the same best class.
    """
    from edgecnn import targets

    here = MicroTarget().load(model, threads=1)
    agreement = agreement_of(here, targets.choose("litert").load(model, threads=1, reference=True))
    return {"arena_bytes": _arena_bytes(here, model), "agreement": agreement}


def _arena_bytes(session: MicroSession, model: bytes) -> int:
    """What the interpreter says that it used, and no less than what it can be loaded and run in.

    Raises:
        RuntimeError: it does not say.
    """
    with silenced() as caught:
        session._interpreter.print_allocations()
    said = _ARENA.search(caught.text)
    if said is None:
        raise RuntimeError("tflite-micro did not say the size of its arena")
    size = -(-int(said[1]) // 16) * 16
    for _ in range(_TRIALS):
        try:
            with silenced():
                MicroTarget()._module().Interpreter.from_bytes(model, arena_size=size).invoke()
        except RuntimeError:
            size += _STEP_BYTES
        else:
            return size
    raise RuntimeError(f"tflite-micro does not run in an arena of {size} bytes, and said {said[1]}")


def main(model: str, figures: str) -> None:
    """Measure a file, and leave the figures in another; what is wrong is one line, the last."""
    try:
        Path(figures).write_text(json.dumps(measure(Path(model).read_bytes())))
    except (EdgecnnError, RuntimeError) as error:
        sys.exit(f"{error} {getattr(error, 'received', '')}")
