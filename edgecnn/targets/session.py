"""What every target provides: a `Target` that loads a model, and the `Session` that it returns."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from edgecnn.errors import UsageError
from edgecnn.operators import Tensor, ends

if TYPE_CHECKING:
    from edgecnn.targets.compiling import Ability, Compiled, CompileOptions, Model

Array = NDArray[Any]


def package_version(package: str) -> str:
    """The version of an installed package. What reads it is imported here: it takes 9 ms, and import needs it not.

    Raises:
        importlib.metadata.PackageNotFoundError: it is not installed.
    """
    from importlib.metadata import version

    return version(package)


@dataclass(frozen=True, kw_only=True)
class TensorInfo:
    """An input or output of a loaded model. ``scale`` 0 means that the tensor is not quantized."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float
    zero_point: int

    def as_json(self) -> dict[str, Any]:
        """The fields, for ``edgecnn show``."""
        return {**asdict(self), "shape": list(self.shape), "dtype": self.dtype.name}


def edges(model: bytes) -> tuple[tuple[TensorInfo, ...], tuple[TensorInfo, ...]]:
    """Inputs and outputs, as the flatbuffer has them: for a file that no runtime of this computer loads."""
    inputs, outputs = (tuple(map(_info, tensors)) for tensors in ends(model))
    return inputs, outputs


def _info(tensor: Tensor) -> TensorInfo:
    single = len(tensor.scales) == 1
    return TensorInfo(
        name=tensor.name,
        shape=tensor.shape,
        dtype=np.dtype(tensor.type),
        scale=tensor.scales[0] if single else 0.0,
        zero_point=tensor.zero_points[0] if single else 0,
    )


class Session(Protocol):
    """A model that is loaded, allocated and ready to run.

    Attributes:
        runtime: the package that runs it, and its version.
        load_ms: how long it took to parse the model and to make what runs it.
        allocate_ms: how long it took to plan and allocate its tensors.
    """

    runtime: str
    load_ms: float
    allocate_ms: float
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]

    def set_input(self, value: Array, index: int = 0) -> None:
        """Hand over one input; shape and dtype are those of ``inputs[index]``."""

    def invoke(self) -> None:
        """Run the model once."""

    def output(self, index: int = 0) -> Array:
        """A copy of one output of the last invoke."""


class Target(Protocol):
    """What a model may be for: a runtime, or an accelerator that wants a file of its own, or both.

    Attributes:
        general: whether it is taken where nobody names a target.
    """

    general: ClassVar[bool]

    def installed(self) -> bool:
        """Whether models run on it here: its package is looked up, not imported."""

    def running(self) -> "Ability | None":
        """What runs it here, or what is missing; None for what no computer like this one runs."""

    def compiling(self) -> "Ability | None":
        """What compiles for it here, or what is missing; None where a ``.tflite`` runs as it is."""

    def ready(self) -> None:
        """Import the runtime's package. `load` does that, too; this is for whoever times the two apart."""

    def load(self, model: bytes, *, threads: int, reference: bool = False) -> Session:
        """Load a flatbuffer. ``reference``: the plain kernels, bit-exact across machines, and slow."""

    def compile(self, model: "Model", options: "CompileOptions") -> "Compiled":
        """Compile a model, in a folder that is gone afterwards; see `edgecnn.compilation` for who writes the result."""


class Runtime:
    """What the runtimes share, which take a ``.tflite`` as it is."""

    general: ClassVar[bool] = True
    package: str
    install: str

    def installed(self) -> bool:
        """See `Target`."""
        raise NotImplementedError

    def running(self) -> "Ability":
        """See `Target`."""
        from edgecnn.targets.compiling import Ability

        here = self.installed()
        return Ability(able=here, note=self.package if here else f"{self.package}: {self.install}")

    def compiling(self) -> None:
        """See `Target`."""

    def compile(self, model: "Model", options: "CompileOptions") -> NoReturn:
        """There is nothing to compile.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            f"{self.package} runs a .tflite as it is: there is nothing to compile.",
            accepted="a target that compiles: `edgecnn targets` lists them",
            remedy="hand the file to `edgecnn demo --target NAME`, or choose another target",
        )
