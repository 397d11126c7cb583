"""Answers worth showing: scores that are smoothed over time, and a label that does not flicker."""

from collections.abc import Collection
from math import exp

import numpy as np
from numpy.typing import NDArray

SMOOTHING_S = 0.3
MARGIN = 0.1


class Steady:
    """Scores averaged over the time of the scene, and the class that they are for.

    A score's weight falls to 1/e after ``smoothing_s`` (exponential smoothing; Brown 1959), whatever the frame rate.
    A class is taken up when it is the best and reaches ``threshold``, and kept (hysteresis) until another is better
    by `MARGIN` or its own score is lower than the threshold by as much.

    Args:
        smoothing_s: seconds; 0 smooths nothing, and keeps nothing: each answer is by itself.
        nothing: indices of classes that say that there is nothing to name: what is unknown, too.

    Attributes:
        threshold: of the score, 0 to 1; under it a frame is unknown. May be changed at any time.
    """

    def __init__(
        self, *, threshold: float = 0.0, smoothing_s: float = SMOOTHING_S, nothing: Collection[int] = ()
    ) -> None:
        self.threshold = threshold
        self._nothing = nothing
        self._smoothing_s = smoothing_s
        self._scores: NDArray[np.float32] | None = None
        self._at_s = 0.0
        self._kept: int | None = None

    def update(self, scores: NDArray[np.float32], at_s: float | None) -> tuple[NDArray[np.float32], int | None]:
        """Take in the scores of a frame.

        Args:
            scores: (classes,), float32.
            at_s: when in the scene's time; None for a frame that has nothing to do with those before.

        Returns:
            The smoothed scores, (classes,), and the index of the class to show, None where it is unknown.
        """
        scores = np.nan_to_num(scores)
        if self._scores is None or at_s is None or not self._smoothing_s:
            self._scores, self._kept = scores, None
        else:
            weight = np.float32(exp(-max(0.0, at_s - self._at_s) / self._smoothing_s))
            self._scores = weight * self._scores + (1 - weight) * scores
        self._at_s = at_s or 0.0
        self._kept = self._chosen(self._scores)
        return self._scores, self._kept

    def _chosen(self, scores: NDArray[np.float32]) -> int | None:
        best, kept = int(scores.argmax()), self._kept
        if kept is not None and scores[kept] > max(scores[best], self.threshold) - MARGIN:
            return kept
        return best if scores[best] >= self.threshold and best not in self._nothing else None
