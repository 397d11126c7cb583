"""Where in an image a file sees a class, asked of the file alone: hide parts, and see what that costs.

What is measured is the logarithm of the odds of the class, from the logits that the file's softmax takes: a score of
0.996 is at a ceiling, and many parts could be hidden before it says so.

Whether a map tells of what the network has learned: Adebayo et al. 2018, arXiv:1810.03292, compare it with that of a
network with random weights; `tests/explain/test_saliency.py` does.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle import Bundle
from edgecnn.explain.features import exposing, logits_of
from edgecnn.inference import Classifier, Prediction
from edgecnn.preprocess import Pixels

Method = Literal["occlusion", "rise"]
METHODS: tuple[Method, ...] = ("occlusion", "rise")
Map = NDArray[np.float32]
OnStep = Callable[[int, int], None]

_PATCHES = (4, 7)  # sides of what is hidden, as fractions of the image's shorter side: 1/4 and 1/7
_STEPS = 14  # along the shorter side
_MASKS, _CELLS, _KEPT = 500, 7, 0.5
_GREY = 128  # what a file that does not say otherwise sees as 0, about
_LEAST = 1e-6


class Evidence:
    """A file that is asked how much speaks for a class.

    Args:
        bundle: a classifier.
        threads: see `edgecnn.inference.Classifier`.
        target: see there.

    Attributes:
        classifier: what runs it.
    """

    def __init__(self, bundle: Bundle, *, threads: int | None = None, target: str | None = None) -> None:
        logits = logits_of(bundle.model)
        model, places = (bundle.model, ()) if logits is None else exposing(bundle.model, logits)
        self._logits = next(iter(places), None)
        self.classifier = Classifier(replace(bundle, model=model), threads=threads, target=target)
        self._hidden = bundle.input.zero_point if bundle.input and bundle.manifest else _GREY

    def answer(self, pixels: Pixels) -> tuple[tuple[Prediction, ...], NDArray[np.float32]]:
        """The best predictions for an image, and every score."""
        self.classifier.invoke(self.classifier.preprocess(pixels))
        scores = self.classifier.scores()
        return self.classifier.predictions(scores), scores

    def odds(self, pixels: Pixels, index: int) -> float:
        """The logarithm of the odds of a class: of its probability against that of all others."""
        self.classifier.invoke(self.classifier.preprocess(pixels))
        if self._logits is None:
            share = float(np.clip(self.classifier.scores()[index], _LEAST, 1 - _LEAST))
            return float(np.log(share / (1 - share)))
        logits = self.classifier.output(self._logits).reshape(-1).astype(np.float64)
        others = np.delete(logits, index)
        highest = others.max() if len(others) else 0.0
        return float(logits[index] - highest - np.log(np.exp(others - highest).sum()))

    def map(self, pixels: Pixels, index: int, method: Method, on_step: OnStep = lambda done, total: None) -> Map:
        """Where the image speaks for a class.

        Args:
            pixels: what `InputSpec.apply` made of a frame: (height, width, channels), uint8.
            index: of the class.
            method: ``occlusion`` (Zeiler and Fergus 2014, arXiv:1311.2901) hides squares of two sizes in turn: a place
                counts as much as hiding it costs, in the mean over the squares that cover it. ``rise`` (Petsiuk et al.
                2018, arXiv:1806.07421) hides random halves of the image.
            on_step: is told how many invokes of how many are done.

        Returns:
            (height, width) float32, in the logarithm of the odds; what is negative speaks against the class.
        """
        work = _occlusion if method == "occlusion" else _rise
        return work(pixels, lambda changed: self.odds(changed, index), self._hidden, on_step).astype(np.float32)


def shown(saliency: Map) -> Map:
    """A map as it is drawn: from 0, no evidence for the class, to 1, the most; all 0 where nothing speaks for it."""
    most = float(saliency.max(initial=0.0))
    return np.clip(saliency, 0, None) / most if most > 0 else np.zeros_like(saliency)


def _occlusion(pixels: Pixels, odds: Callable[[Pixels], float], hidden: int, on_step: OnStep) -> NDArray[np.float64]:
    height, width = pixels.shape[:2]
    step = max(1, min(height, width) // _STEPS)
    whole, found = odds(pixels), np.zeros((height, width))
    squares = [
        (side, top, left)
        for side in (max(1, min(height, width) // part) for part in _PATCHES)
        for top in range(-(side // 2), height - side // 2, step)
        for left in range(-(side // 2), width - side // 2, step)
    ]
    costs: dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
    for done, (side, top, left) in enumerate(squares, start=1):
        place = np.s_[max(0, top) : top + side, max(0, left) : left + side]
        changed = pixels.copy()
        changed[place] = hidden
        cost, covered = costs.setdefault(side, (np.zeros_like(found), np.zeros_like(found)))
        cost[place] += whole - odds(changed)
        covered[place] += 1
        on_step(done, len(squares))
    return sum((cost / np.maximum(covered, 1) for cost, covered in costs.values()), start=found) / len(costs)


def _rise(pixels: Pixels, odds: Callable[[Pixels], float], hidden: int, on_step: OnStep) -> NDArray[np.float64]:
    """Where masks that keep it have higher odds than masks in the mean.

    The paper adds up masks, each times its score. With the mean score taken away first the expectation is less by the
    same amount at every place, and how often a place happened to be kept no longer shows.
    """
    height, width = pixels.shape[:2]
    random = np.random.default_rng(0)
    cell = -(-height // _CELLS), -(-width // _CELLS)
    size = (_CELLS + 1) * cell[1], (_CELLS + 1) * cell[0]
    total, kept, found = 0.0, np.zeros((height, width)), np.zeros((height, width))
    for done in range(1, _MASKS + 1):
        grid = (random.random((_CELLS + 1, _CELLS + 1)) < _KEPT).astype(np.float32)
        top, left = random.integers(0, cell[0]), random.integers(0, cell[1])
        mask = cv2.resize(grid, size, interpolation=cv2.INTER_LINEAR)[top : top + height, left : left + width]
        one = mask[:, :, np.newaxis]
        score = odds((pixels * one + hidden * (1 - one) + 0.5).astype(np.uint8))
        total, kept, found = total + score, kept + mask, found + score * mask
        on_step(done, _MASKS)
    return (found - total / _MASKS * kept) / (_MASKS * _KEPT)
