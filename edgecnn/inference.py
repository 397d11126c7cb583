"""The classifier: a frame in, predictions out, the same code in the build's proof and on the device."""

from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn import targets
from edgecnn.bundle import Bundle
from edgecnn.errors import BundleError
from edgecnn.latency import default_threads
from edgecnn.preprocess import Pixels


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """One class and its score, in 0 to 1 for a file of ours."""

    index: int
    label: str
    score: float


class Classifier:
    """Runs a bundle. Not for use by two threads at once.

    Args:
        bundle: what to run.
        threads: threads of the interpreter; None takes the cores of this process, at most 4.
        target: a name in `edgecnn.targets.TARGETS`; None takes the first that is installed.
        top: how many predictions to return.
        reference: plain kernels, bit-exact across machines, and slow.

    Attributes:
        runtime: the interpreter in use, and its version.
        labels: one name a class.

    Raises:
        BundleError: the model is not a classifier of one image, or the interpreter refuses it.
        UsageError: no such target, or none is installed.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        threads: int | None = None,
        target: str | None = None,
        top: int = 5,
        reference: bool = False,
    ) -> None:
        self.bundle = bundle
        self.labels = bundle.labels
        self.threads = threads or default_threads()
        self._session = targets.choose(target).load(bundle.model, threads=self.threads, reference=reference)
        self.runtime = self._session.runtime
        self._top = top
        inputs, outputs = self._session.inputs, self._session.outputs
        scores = int(np.prod(outputs[0].shape)) if outputs else 0
        if bundle.input is None or len(inputs) != 1 or scores != len(bundle.labels):
            raise BundleError(
                "This model is not a classifier of one image.",
                received=f"inputs {[i.shape for i in inputs]}, outputs {[o.shape for o in outputs]}",
                accepted="one input (1, height, width, 1 or 3) and one score a class",
                remedy="`edgecnn show` and `edgecnn bench` take any model; demo and evaluate need a classifier",
            )
        self._spec = bundle.input
        self._input, self._output = inputs[0], outputs[0]
        mean_and_std = bundle.normalization or ((self._spec.zero_point,), (1 / self._spec.scale,))
        self._mean, self._std = (np.array(values, np.float32) for values in mean_and_std)

    def __enter__(self) -> "Classifier":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        del self._session

    def __call__(self, frame: Pixels) -> tuple[Prediction, ...]:
        """Classify one frame: RGB, uint8, (any height, any width, 3). Best prediction first."""
        tensor = self.preprocess(frame)
        self.invoke(tensor)
        return self.predictions(self.scores())

    def preprocess(self, frame: Pixels) -> NDArray[Any]:
        """The input tensor for a frame: (1, height, width, channels) in the model's own dtype."""
        pixels = self._spec.apply(frame)[np.newaxis]
        if self._input.dtype == np.uint8:
            return pixels
        if self._input.dtype == np.int8:
            return (pixels ^ 0x80).view(np.int8)
        return ((pixels - self._mean) / self._std).astype(self._input.dtype)

    def invoke(self, tensor: NDArray[Any]) -> None:
        """Run the interpreter once on what `preprocess` returned."""
        self._session.set_input(tensor)
        self._session.invoke()

    def scores(self) -> NDArray[np.float32]:
        """The scores of the last invoke: (classes,), float32, dequantized."""
        raw = self._session.output().reshape(-1)
        if self._output.scale == 0:
            return raw.astype(np.float32)
        return (raw.astype(np.float32) - np.float32(self._output.zero_point)) * np.float32(self._output.scale)

    def predictions(self, scores: NDArray[np.float32]) -> tuple[Prediction, ...]:
        """The best ``top`` classes, best first; of equal scores the lower index first."""
        best = np.argsort(-scores, kind="stable")[: self._top]
        return tuple(
            Prediction(index=int(index), label=self.bundle.labels[index], score=float(scores[index])) for index in best
        )
