"""Intel's OpenVINO, which reads a ``.tflite`` as it is. On x86 and on 64-bit ARM."""

import importlib
import importlib.util
import time
from functools import cache
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np

from edgecnn.errors import BundleError, UsageError
from edgecnn.metadata import Node
from edgecnn.targets.session import Array, Runtime, TensorInfo, package_version


class OpenvinoTarget(Runtime):
    """It is imported when a model is loaded, and only then. It has no reference kernels."""

    package = "openvino"
    install = "pip install '.[openvino]'"

    def installed(self) -> bool:
        """Whether the package is here."""
        return importlib.util.find_spec(self.package) is not None

    def ready(self) -> None:
        """Import the package."""
        self._module()

    def load(self, model: bytes, *, threads: int, reference: bool = False) -> "OpenvinoSession":
        """Read the flatbuffer, and compile it for the processor, for the shortest answer.

        Raises:
            BundleError: OpenVINO refuses the model.
            UsageError: the package is there and broken, or reference kernels are asked for.
        """
        if reference:
            raise UsageError(
                "OpenVINO has no reference kernels.", accepted="litert", remedy="choose another target for them"
            )
        module = self._module()
        settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
        start = time.perf_counter_ns()
        try:
            with NamedTemporaryFile(suffix=".tflite") as file:  # it knows the format by the name, and not from memory
                file.write(model)
                file.flush()
                core = _core(module)
                graph = core.read_model(file.name)
                if graph.is_dynamic():  # a batch of any size, which is one everywhere else
                    graph.reshape(dict(enumerate(_input_shapes(model))))
                loaded = time.perf_counter_ns()
                request = core.compile_model(graph, "CPU", settings).create_infer_request()
        except RuntimeError as error:
            raise BundleError(
                "OpenVINO cannot load this model.",
                received=next((line for line in str(error).splitlines() if line.strip()), None),
                accepted="a whole .tflite file of operators that OpenVINO knows",
                remedy="run it with --target litert",
            ) from error
        took = loaded - start, time.perf_counter_ns() - loaded
        return OpenvinoSession(module, request, model, f"openvino {package_version(self.package)}", took_ns=took)

    def _module(self) -> Any:
        try:
            return importlib.import_module(self.package)
        except ImportError as error:
            raise UsageError(
                "openvino is installed, and cannot be imported.",
                received=str(error),
                remedy="pip install '.[openvino]' again, or choose another --target",
            ) from error


@cache
def _core(module: Any) -> Any:
    """One for the life of the process, and so is its plugin for the processor.

    Where that is unloaded by another thread than loaded it, the loader's alternate signal stack is gone, and the next
    signal, such as Ctrl-C, ends the process with a fault (OpenVINO 2026.4, ``SigAltStackSetup``).
    """
    return module.Core()


class OpenvinoSession:
    """A `Session` over one infer request. Not for use by two threads at once."""

    def __init__(self, module: Any, request: Any, model: bytes, runtime: str, *, took_ns: tuple[int, int]) -> None:
        self.runtime = runtime
        self.load_ms, self.allocate_ms = (nanoseconds / 1e6 for nanoseconds in took_ns)
        self._module, self._request = module, request
        compiled = request.get_compiled_model()
        graph = Node.root(model).tables(2)[0]
        self.inputs = _infos(graph, 1, compiled.inputs)
        self.outputs = _infos(graph, 2, compiled.outputs)
        self.invoke = request.infer

    def set_input(self, value: Array, index: int = 0) -> None:
        """Hand over one input."""
        self._request.set_input_tensor(index, self._module.Tensor(np.ascontiguousarray(value)))

    def output(self, index: int = 0) -> Array:
        """A copy of one output of the last invoke."""
        array: Array = self._request.get_output_tensor(index).data.copy()
        return array


def _infos(graph: Node, slot: int, ports: Any) -> tuple[TensorInfo, ...]:
    """Names, scales and zero points as the flatbuffer has them, for OpenVINO keeps none; shapes and types as it runs.

    The slots are those of TensorFlow's ``schema.fbs``: 0 tensors, 1 inputs, 2 outputs of a graph.
    """
    tensors = graph.tables(0)
    return tuple(_info(tensors[place], port) for place, port in zip(graph.numbers(slot, "i"), ports, strict=True))


def _input_shapes(model: bytes) -> list[list[int]]:
    graph = Node.root(model).tables(2)[0]
    return [list(graph.tables(0)[place].numbers(0, "i")) for place in graph.numbers(1, "i")]


def _info(tensor: Node, port: Any) -> TensorInfo:
    quantization = tensor.table(4) if tensor.has(4) else None
    scales, zeros = (quantization.numbers(2, "f"), quantization.numbers(3, "q")) if quantization else ((), ())
    return TensorInfo(
        name=tensor.data(3).decode(),
        shape=tuple(int(size) for size in port.shape),
        dtype=np.dtype(port.get_element_type().to_dtype()),
        scale=float(scales[0]) if len(scales) == 1 else 0.0,
        zero_point=int(zeros[0]) if len(zeros) == 1 else 0,
    )
