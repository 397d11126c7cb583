"""Answers worth showing: scores that are smoothed over time, and a label that does not flicker."""

from collections.abc import Collection
from math import exp

import numpy as np
from numpy.typing import NDArray

SMOOTHING_S = 0.1
MARGIN = 0.1


class Steady:
    """Scores averaged over the time of the scene, and the class that most of the last frames were for.

    Each frame has one vote: for its best class, or for "unknown" where that scores under the threshold, as the build
    has calibrated it for single images. Scores and votes lose their weight to 1/e in ``smoothing_s`` (exponential
    smoothing; Brown 1959), whatever the frame rate. What is shown has the most votes, and stays (hysteresis) until
    something else leads by `MARGIN`, a share of all votes.

    Args:
        smoothing_s: seconds; 0 smooths nothing: each answer is by itself.
        nothing: indices of classes that say that there is nothing to name: votes for "unknown".

    Attributes:
        threshold: of a frame's best score, 0 to 1. May be changed at any time.
    """

    def __init__(
        self, *, threshold: float = 0.0, smoothing_s: float = SMOOTHING_S, nothing: Collection[int] = ()
    ) -> None:
        self.threshold = threshold
        self._nothing = nothing
        self._smoothing_s = smoothing_s
        self._scores = self._votes = np.zeros(0, np.float32)
        self._at_s: float | None = None
        self._kept = 0

    def update(self, scores: NDArray[np.float32], at_s: float | None) -> tuple[NDArray[np.float32], int | None]:
        """Take in the scores of a frame.

        Args:
            scores: (classes,), float32.
            at_s: when in the scene's time; None for a frame that has nothing to do with those before.

        Returns:
            The smoothed scores, (classes,), and the index of the class to show, None where it is unknown.
        """
        scores, unknown = np.nan_to_num(scores), len(scores)
        best = int(scores.argmax())
        vote = np.zeros(unknown + 1, np.float32)
        vote[unknown if best in self._nothing or scores[best] < self.threshold else best] = 1
        weight = self._weight(at_s)
        if weight == 0:
            self._scores, self._votes, self._kept = scores, vote, int(vote.argmax())
        else:
            self._scores = weight * self._scores + (1 - weight) * scores
            self._votes = weight * self._votes + (1 - weight) * vote
            leader = int(self._votes.argmax())
            if self._votes[leader] > self._votes[self._kept] + MARGIN:
                self._kept = leader
        self._at_s = at_s
        return self._scores, None if self._kept == unknown else self._kept

    def _weight(self, at_s: float | None) -> np.float32:
        """Of what was before, 0 to 1."""
        if self._at_s is None or at_s is None or not self._smoothing_s:
            return np.float32(0)
        return np.float32(exp(-max(0.0, at_s - self._at_s) / self._smoothing_s))
