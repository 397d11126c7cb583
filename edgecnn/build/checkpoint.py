"""Where a training is, on disk: written beside after each epoch, and renamed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.build import mixed
from edgecnn.files import replacing

History = list[dict[str, float]]


@dataclass
class Checkpoint:
    """The state of a training beside its model's.

    Attributes:
        path: the file.
        history: the figures of each finished epoch.
        best: the weights of the best one, in Keras's order; none where the last ones are kept.
    """

    path: Path
    history: History = field(default_factory=list)
    best: Sequence[Any] = ()

    def save(self, model: Any) -> None:
        """Write weights, optimizer and this."""
        with replacing(self.path) as beside, beside.open("wb") as file:
            np.savez(file, history=np.array(json.dumps(self.history)), **self._arrays(model))

    def _arrays(self, model: Any) -> dict[str, Any]:
        optimizer = [variable.numpy() for variable in mixed.state(model.optimizer)]
        groups = {"weight": model.get_weights(), "optimizer": optimizer, "best": self.best}
        return {f"{name}{i}": value for name, values in groups.items() for i, value in enumerate(values)}

    def restore(self, model: Any) -> None:
        """Set weights, optimizer and this to what was written, if anything was."""
        if not self.path.exists():
            return
        with np.load(self.path) as arrays:
            model.set_weights([arrays[f"weight{i}"] for i in range(len(model.get_weights()))])
            for i, variable in enumerate(mixed.state(model.optimizer)):
                variable.assign(arrays[f"optimizer{i}"])
            self.best = [arrays[name] for name in arrays.files if name.startswith("best")]
            self.history = json.loads(str(arrays["history"]))
