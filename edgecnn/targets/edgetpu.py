"""Google Coral's Edge TPU: its compiler where the user has it, else a screen of the file; its delegate to run it.

Coral's compiler is for x86-64 Linux and comes from Coral's own Debian repository. Without it nothing is compiled, and
what `screen` finds is called a screen. None of this was run on a device yet.
"""

import importlib
import importlib.util
import re
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from edgecnn.errors import BundleError, UsageError
from edgecnn.operators import operators
from edgecnn.silence import silenced
from edgecnn.targets.compiling import (
    Ability,
    Compiled,
    CompileOptions,
    Model,
    check_compilable,
    fallback,
    find_tool,
    nothing_done,
    refuse_options,
    run_tool,
)
from edgecnn.targets.edgetpu_screen import screen
from edgecnn.targets.tflite import TfliteSession

CUSTOM_CODE = "edgetpu-custom-op"
COMPILER = "edgetpu_compiler"
VERSIONS = (
    "libedgetpu and the interpreter are built from one TensorFlow: Coral's libedgetpu 16.0 goes with its "
    "tflite-runtime 2.5.0.post1 (Python up to 3.9); other interpreters need a libedgetpu that was built for theirs"
)
_MODULES = ("tflite_runtime.interpreter", "ai_edge_litert.interpreter")
_STATUS = re.compile(r"^(\w+)\s+\d+\s+(.+?)\s*$", re.MULTILINE)


class EdgetpuTarget:
    """The compiler and the delegate are looked for apart: they are seldom on one computer."""

    package = "libedgetpu"
    general: ClassVar[bool] = False

    def installed(self) -> bool:
        """Whether the delegate and an interpreter are here; whether a device is, shows when a model is loaded."""
        return _library() is not None and _module_name() is not None

    def running(self) -> Ability:
        """See `edgecnn.targets.Target`."""
        here = self.installed()
        return Ability(able=here, note=str(_library()) if here else f"libedgetpu.so.1 is not installed; {VERSIONS}")

    def compiling(self) -> Ability:
        """Whether Coral's compiler is here."""
        found = find_tool(COMPILER, None)
        missing = f"{COMPILER} (Coral's, for x86-64) is not installed: a screen alone"
        return Ability(able=found is not None, note=COMPILER if found else missing)

    def ready(self) -> None:
        """Import the interpreter."""
        self._module()

    def load(self, model: bytes, *, threads: int, reference: bool = False) -> TfliteSession:
        """Load a compiled file through the delegate.

        Raises:
            UsageError: there is no delegate or no device, or reference kernels are asked for.
            BundleError: the interpreter refuses the model.
        """
        if reference:
            raise UsageError(
                "An Edge TPU has no reference kernels.", accepted="litert", remedy="choose another target for them"
            )
        module, library = self._module(), _library() or "libedgetpu.so.1"
        try:
            with silenced():
                delegate = module.load_delegate(library)
        except (OSError, ValueError) as error:
            raise UsageError(
                "The Edge TPU cannot be opened.",
                received=f"{library}: {error}",
                accepted=f"a Coral device that is plugged in, and its library; {VERSIONS}",
                remedy="plug it in, and see that this user may open it; else --target litert with the file before it",
            ) from error
        try:
            with silenced():
                start = time.perf_counter_ns()
                interpreter = module.Interpreter(
                    model_content=model, num_threads=threads, experimental_delegates=[delegate]
                )
                loaded = time.perf_counter_ns()
                interpreter.allocate_tensors()
            took = loaded - start, time.perf_counter_ns() - loaded
            return TfliteSession(interpreter, f"libedgetpu in {module.__name__.partition('.')[0]}", took_ns=took)
        except (ValueError, RuntimeError) as error:
            raise BundleError(
                "The Edge TPU cannot load this model.",
                received=next((line for line in str(error).splitlines() if line.strip()), None),
                accepted=f"a whole file; {VERSIONS}",
                remedy="compile it again, and look at the versions",
            ) from error

    def compile(self, model: Model, options: CompileOptions) -> Compiled:
        """Compile with Coral's compiler; where it is not here, screen.

        Raises:
            ModelError: the model cannot be compiled, or the compiler failed, hung or put nothing on the Edge TPU.
            UsageError: an option is wrong.
        """
        refuse_options("edgetpu", options, "tool")
        found = operators(model.flatbuffer, all_graphs=True)
        check_compilable("edgetpu", found)
        tool = find_tool(COMPILER, options.tool)
        macs = sum(op.macs for op in found)
        if tool is None:
            left = screen(found)
            on_cpu = sum(op.macs for op, _ in left)
            falls = tuple(fallback(op, why) for op, why in left)
            return Compiled(
                tool="a screen, without Coral's compiler",
                method="screened",
                operators=len(found),
                fallbacks=falls,
                macs=(macs, on_cpu),
            )
        with TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "model.tflite").write_bytes(model.flatbuffer)
            version = run_tool([tool, "--version"], what=COMPILER, timeout_s=options.timeout_s, folder=folder)
            said = run_tool(
                [tool, "-s", "-o", ".", "model.tflite"], what=COMPILER, timeout_s=options.timeout_s, folder=folder
            )
            written = folder / "model_edgetpu.tflite"
            if not written.is_file():
                raise nothing_done(COMPILER, "wrote nothing")
            made = written.read_bytes()
        rest = operators(made, all_graphs=True)
        if all(op.type != CUSTOM_CODE for op in rest):
            raise nothing_done(COMPILER, "put nothing on the Edge TPU")
        sources = {op.outputs[0].name: op for op in found if op.outputs}
        left_ops = [sources.get(op.outputs[0].name, op) for op in rest if op.type != CUSTOM_CODE]
        reasons = {name: why for name, why in _STATUS.findall(said) if not why.startswith("Mapped")}
        unsaid = f"{COMPILER} left it to the CPU, and does not say why"
        return Compiled(
            tool=version.strip().splitlines()[-1] if version.strip() else COMPILER,
            method="compiled",
            model=made,
            operators=len(found),
            fallbacks=tuple(fallback(op, reasons.get(op.type, unsaid)) for op in left_ops),
            macs=(macs, sum(op.macs for op in left_ops)),
        )

    def _module(self) -> Any:
        name = _module_name()
        try:
            return importlib.import_module(name or _MODULES[0])
        except (ImportError, AttributeError, SystemError) as error:
            raise UsageError(
                "No interpreter for the Edge TPU can be imported.", received=str(error), accepted=VERSIONS,
                remedy="install one of these pairs",
            ) from error  # fmt: skip


def _library() -> str | None:
    from ctypes.util import find_library

    return find_library("edgetpu")


def _module_name() -> str | None:
    """tflite-runtime first: it is what Coral's library is built for."""
    return next((name for name in _MODULES if importlib.util.find_spec(name.partition(".")[0])), None)
