"""What every target provides: a `Target` that loads a model, and the `Session` that it returns."""

from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


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
    """A runtime that may be installed on this machine."""

    def installed(self) -> bool:
        """Whether the runtime's package is here (looked up, not imported)."""

    def ready(self) -> None:
        """Import the runtime's package. `load` does that, too; this is for whoever times the two apart."""

    def load(self, model: bytes, *, threads: int, reference: bool = False) -> Session:
        """Load a flatbuffer. ``reference``: the plain kernels, bit-exact across machines, and slow."""
