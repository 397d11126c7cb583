"""What a run came to: counts, statistics of the last frames, in the same memory after a minute and a month; and of
images, which are as many as there are files, the answer to each."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecnn.device.events import said
from edgecnn.device.frames import PHASES, Answer, Camera
from edgecnn.latency import LatencyStats

KEPT_FRAMES = 10_000


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a run came to.

    Attributes:
        frames: how many were answered.
        dropped: how many a live camera captured that were not answered.
        fps: (frames - 1) / (last answer - first answer); None for fewer than two frames.
        phases: statistics by phase, over the last `KEPT_FRAMES` frames; None where no frame was answered.
        age: from the capture of a frame to when the view had shown it; None where nothing was shown, or the camera is
            not live.
        left_out: the files that could not be read, each with its reason.
        truth: the share of frames whose best label is the true one, that of frames for which the true one was shown, or
            unknown where there was nothing, and their number; None where it is not known, or no class of the model's.
        answers: of images, what the model says of each file; of anything else, none.
    """

    frames: int
    dropped: int
    fps: float | None
    phases: dict[str, LatencyStats | None]
    age: LatencyStats | None
    camera: str
    runtime: str
    threads: int
    left_out: tuple[str, ...]
    truth: tuple[float, float, int] | None
    answers: tuple[dict[str, Any], ...]

    def as_json(self) -> dict[str, Any]:
        """The document that ``demo --json`` prints."""
        return {
            "schema": 1,
            "frames": self.frames,
            "fps": self.fps,
            "dropped": self.dropped,
            "phases": {name: _percentiles(stats) for name, stats in self.phases.items()},
            "age": self.age and _percentiles(self.age),
            "runtime": self.runtime,
            "threads": self.threads,
            "camera": self.camera,
            "left_out": list(self.left_out),
            "truth": self.truth and dict(zip(("accuracy", "shown", "n"), self.truth, strict=True)),
            "answers": list(self.answers),
        }


class Ring:
    """The last `KEPT_FRAMES` timings of each column: the same memory after a minute and after a month."""

    def __init__(self, columns: int) -> None:
        self.added = 0
        self._rows = np.zeros((KEPT_FRAMES, columns), np.int64)

    def add(self, timings_ns: tuple[int, ...]) -> None:
        """Take in one of each column."""
        self._rows[self.added % KEPT_FRAMES] = timings_ns
        self.added += 1

    def stats(self) -> list[LatencyStats | None]:
        """Statistics of each column; None where nothing was added."""
        rows = self._rows[: self.added]
        return [LatencyStats.of(column.tolist()) if self.added else None for column in rows.T]


class Tally:
    """Counts the answers, and keeps the timings of the last ones.

    Args:
        labels: the names of the classes.
        nothing: indices of those that say that there is nothing to name.
    """

    def __init__(self, labels: Sequence[str], nothing: Collection[int]) -> None:
        self._labels = {label: index not in nothing for index, label in enumerate(labels)}
        self._phases = Ring(len(PHASES))
        self._first_ns = self._last_ns = 0
        self._known = self._right = self._shown = 0
        self._answers: list[dict[str, Any]] = []

    def add(self, answer: Answer) -> None:
        """Take in an answer."""
        if not self._phases.added:
            self._first_ns = answer.answered_ns
        self._last_ns = answer.answered_ns
        self._phases.add(answer.phases_ns)
        if answer.frame.source is not None:
            self._answers.append({"file": answer.frame.source, **said(answer)})
        if (truth := answer.frame.truth) in self._labels:
            self._known += 1
            self._right += answer.predictions[0].label == truth
            self._shown += (answer.shown and answer.shown.label) == (truth if self._labels[truth] else None)

    def summary(
        self, camera: Camera, runtime: str, threads: int, *, captured: int, age: LatencyStats | None
    ) -> Summary:
        """What it came to, of so many frames that were captured; see `Summary`."""
        frames, seconds = self._phases.added, (self._last_ns - self._first_ns) / 1e9
        return Summary(
            frames=frames,
            dropped=captured - frames if camera.live else 0,
            fps=round((frames - 1) / seconds, 3) if seconds > 0 else None,
            phases=dict(zip(PHASES, self._phases.stats(), strict=True)),
            age=age,
            camera=camera.name,
            runtime=runtime,
            threads=threads,
            left_out=tuple(camera.left_out),
            truth=(self._right / self._known, self._shown / self._known, self._known) if self._known else None,
            answers=tuple(self._answers),
        )


def _percentiles(stats: LatencyStats | None) -> dict[str, float | None]:
    return {key: getattr(stats, key, None) for key in ("p50_ms", "p90_ms", "p99_ms")}
