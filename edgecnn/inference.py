"""The classifier: a frame in, predictions out, the same code in the build's proof and on the device."""

from collections.abc import Sequence
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
from edgecnn.targets import TensorInfo


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
        target: a name in `edgecnn.targets.TARGETS`; None takes what the file was
            compiled for, else the first that is installed.
        top: how many predictions to return.
        reference: plain kernels, bit-exact across machines, and slow.

    Attributes:
        runtime: the interpreter in use, and its version.
        labels: one name a class.
        map_shape: (h, w) of the class activation maps that the file gives beside the scores; None where it gives none.

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
        self._session = targets.choose(target or bundle.compiled_for).load(
            bundle.model, threads=self.threads, reference=reference
        )
        self.runtime = self._session.runtime
        self._top = top
        inputs, outputs = self._session.inputs, self._session.outputs
        scores = _scores_of(outputs, len(bundle.labels))
        if bundle.input is None or len(inputs) != 1 or scores is None:
            raise BundleError(
                "This model is not a classifier of one image.",
                received=f"inputs {[i.shape for i in inputs]}, outputs {[o.shape for o in outputs]}",
                accepted="one input (1, height, width, 1 or 3) and one score a class",
                remedy="`edgecnn show` and `edgecnn bench` take any model; demo and evaluate need a classifier",
            )
        self._spec = bundle.input
        self._input, self._scores = inputs[0], scores
        self._maps = _maps_of(outputs, scores, len(bundle.labels))
        self.map_shape = None if self._maps is None else outputs[self._maps].shape[1:3]
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
        return self.output(self._scores).reshape(-1)

    def class_map(self, index: int) -> NDArray[np.float32]:
        """Where the last invoke saw a class, (h, w) float32: 1 at the place that says most for it, 0 at the least.

        A class activation map (Zhou et al. 2016, arXiv:1512.04150). It covers the image that `preprocess` made; one
        that is the same everywhere is 0.

        Args:
            index: of the class.

        Raises:
            BundleError: the file has no class maps; `map_shape` says whether it has.
        """
        if self._maps is None:
            raise BundleError(
                "This file has no class maps.",
                accepted="a file of the recipe's Convert(class_maps=True)",
                remedy="build it again with class_maps=True in the recipe",
            )
        found = self.output(self._maps)[0, :, :, index]
        span = found.max() - found.min()
        return (found - found.min()) / span if span > 0 else np.zeros_like(found)

    def region(self, frame: Pixels) -> tuple[int, int, int, int]:
        """The part of a frame that the network sees: (top, left, height, width) in pixels."""
        return self._spec.region(*frame.shape[:2])

    def output(self, index: int) -> NDArray[np.float32]:
        """An output of the last invoke, by its place among the outputs: float32, dequantized, in its own shape."""
        raw, tensor = self._session.output(index), self._session.outputs[index]
        if tensor.scale == 0:
            return raw.astype(np.float32)
        return (raw.astype(np.float32) - np.float32(tensor.zero_point)) * np.float32(tensor.scale)

    def predictions(self, scores: NDArray[np.float32]) -> tuple[Prediction, ...]:
        """The best ``top`` classes, best first; of equal scores the lower index first."""
        best = np.argsort(-scores, kind="stable")[: self._top]
        return tuple(
            Prediction(index=int(index), label=self.bundle.labels[index], score=float(scores[index])) for index in best
        )


def _scores_of(outputs: Sequence[TensorInfo], classes: int) -> int | None:
    """The output of one score a class; of several such the one of the fewest axes, then the first."""
    found = [index for index, output in enumerate(outputs) if int(np.prod(output.shape)) == classes]
    return min(found, key=lambda index: len(outputs[index].shape), default=None)


def _maps_of(outputs: Sequence[TensorInfo], scores: int | None, classes: int) -> int | None:
    """The first output beside the scores that is (1, h, w, classes)."""
    shapes = [output.shape for output in outputs]
    fits = (len(shape) == 4 and (shape[0], shape[3]) == (1, classes) for shape in shapes)
    return next((index for index, fit in enumerate(fits) if fit and index != scores), None)
