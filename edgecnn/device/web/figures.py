"""The numbers on the page."""

import math
from typing import Any

from edgecnn.device.frames import PHASES, Answer
from edgecnn.device.views import Controls
from edgecnn.inference import Prediction

WINDOW_NS = 500_000_000  # numbers that change faster cannot be read


class Figures:
    """Counts answers, and averages speed, age and phases over the last half second. Not for two threads at once."""

    def __init__(self) -> None:
        self.notice: str | None = None
        self._answer: Answer | None = None
        self._means: dict[str, Any] = {"fps": None, "age_ms": None, "phases_ms": None}
        self._start_window(None)

    def add(self, answer: Answer, *, shown_ns: int) -> None:
        """Take in an answer that was shown at a time of `time.perf_counter_ns`."""
        self.notice, self._answer = None, answer
        if self._since_ns is None:
            self._start_window(answer.answered_ns)
            return
        self._frames += 1
        self._age_ns += shown_ns - answer.frame.captured_ns
        for phase, duration in enumerate(answer.phases_ns):
            self._phases_ns[phase] += duration
        if answer.answered_ns - self._since_ns >= WINDOW_NS:
            self._means = self._averages(answer.answered_ns - self._since_ns)
            self._start_window(answer.answered_ns)

    def idle(self, notice: str | None) -> None:
        """Nothing comes; while that is so there is no speed."""
        self.notice = notice
        if notice is not None:
            self._means = {**self._means, "fps": None, "age_ms": None}
            self._start_window(None)

    def as_json(self, controls: Controls) -> dict[str, Any]:
        """What a viewer sees beside the picture; each value None where there is none yet."""
        answer = self._answer
        return {
            "frame": answer and answer.frame.number,
            "size": answer and answer.frame.image.shape[:2],
            "shown": answer and answer.shown and _prediction(answer.shown),
            "best": [_prediction(each) for each in answer.steady] if answer else [],
            "dropped": answer and answer.dropped,
            **self._means,
            "threshold": controls.threshold,
            "paused": controls.paused,
            "overlay": controls.overlay,
            "notice": self.notice,
        }

    def _averages(self, elapsed_ns: int) -> dict[str, Any]:
        totals = zip(PHASES, self._phases_ns, strict=True)
        return {
            "fps": round(self._frames / elapsed_ns * 1e9, 2),
            "age_ms": round(self._age_ns / self._frames / 1e6, 1),
            "phases_ms": {name: round(total / self._frames / 1e6, 3) for name, total in totals},
        }

    def _start_window(self, since_ns: int | None) -> None:
        self._since_ns, self._frames, self._age_ns, self._phases_ns = since_ns, 0, 0, [0] * len(PHASES)


def _prediction(prediction: Prediction) -> dict[str, Any]:
    """JSON has no NaN, and a foreign model may have."""
    return {
        "label": prediction.label,
        "index": prediction.index,
        "score": round(prediction.score, 4) if math.isfinite(prediction.score) else None,
    }
