"""The three packages that carry TensorFlow Lite's interpreter: one API under three names."""

import importlib
import importlib.util
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecnn.errors import BundleError, UsageError
from edgecnn.silence import silenced
from edgecnn.targets.session import Array, Runtime, TensorInfo, package_version


@dataclass(frozen=True)
class TfliteTarget(Runtime):
    """One of the packages. It is imported by name when a model is loaded, and only then."""

    package: str
    module: str
    install: str = "pip install ."

    def installed(self) -> bool:
        """Whether the package is here."""
        return importlib.util.find_spec(self.module.partition(".")[0]) is not None

    def ready(self) -> None:
        """Import the package."""
        self._module()

    def load(self, model: bytes, *, threads: int, reference: bool = False) -> "TfliteSession":
        """Verify the flatbuffer, build the interpreter and allocate its tensors.

        Raises:
            BundleError: the interpreter refuses the model.
            UsageError: the package is there and broken.
        """
        module = self._module()
        resolver = module.OpResolverType.BUILTIN_REF if reference else module.OpResolverType.AUTO
        try:
            with silenced():  # it says on stderr which delegate it made, and an error's text is in the exception
                start = time.perf_counter_ns()
                interpreter = module.Interpreter(
                    model_content=model, num_threads=threads, experimental_op_resolver_type=resolver
                )
                loaded = time.perf_counter_ns()
                interpreter.allocate_tensors()
                took = loaded - start, time.perf_counter_ns() - loaded
                runtime = f"{self._version()}{', reference kernels' if reference else ''}"
                return TfliteSession(interpreter, runtime, took_ns=took)
        except (ValueError, RuntimeError) as error:
            raise BundleError(
                "The interpreter cannot load this model.",
                received=str(error).strip().splitlines()[0] if str(error).strip() else None,
                accepted="a whole .tflite file of operators that the interpreter knows",
                remedy="copy or build the file again; a model with custom or Flex operators does not run here",
            ) from error

    def _module(self) -> Any:
        try:
            return importlib.import_module(self.module)
        except (ImportError, AttributeError, SystemError) as error:
            raise UsageError(
                f"{self.package} is installed, and cannot be imported.",
                received=str(error),
                accepted="for tflite-runtime: numpy below 2",
                remedy="pip install '.[tflite-runtime]' again, or choose another --target",
            ) from error

    def _version(self) -> str:
        """The package and its version, under the name that it was installed by (tensorflow-cpu, say)."""
        from importlib.metadata import PackageNotFoundError, packages_distributions

        try:
            return f"{self.package} {package_version(self.package)}"
        except PackageNotFoundError:
            packages = packages_distributions().get(self.module.partition(".")[0])
            return f"{packages[0]} {package_version(packages[0])}" if packages else self.package


class TfliteSession:
    """A `Session` over one interpreter. Not for use by two threads at once."""

    def __init__(self, interpreter: Any, runtime: str, *, took_ns: tuple[int, int]) -> None:
        self.runtime = runtime
        self.load_ms, self.allocate_ms = (nanoseconds / 1e6 for nanoseconds in took_ns)
        self._interpreter = interpreter
        self._input_details = interpreter.get_input_details()
        self._output_details = interpreter.get_output_details()
        self.inputs = tuple(_info(detail) for detail in self._input_details)
        self.outputs = tuple(_info(detail) for detail in self._output_details)
        self.invoke = interpreter.invoke

    def set_input(self, value: Array, index: int = 0) -> None:
        """Hand over one input."""
        self._interpreter.set_tensor(self._input_details[index]["index"], value)

    def output(self, index: int = 0) -> Array:
        """A copy of one output of the last invoke."""
        array: Array = self._interpreter.get_tensor(self._output_details[index]["index"])
        return array


def _info(detail: dict[str, Any]) -> TensorInfo:
    scale, zero_point = detail["quantization"]
    return TensorInfo(
        name=detail["name"],
        shape=tuple(int(size) for size in detail["shape"]),
        dtype=np.dtype(detail["dtype"]),
        scale=float(scale),
        zero_point=int(zero_point),
    )
