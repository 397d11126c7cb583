"""The weights of an earlier build, read as data: nothing of a network is rebuilt for them, and nothing is run."""

import hashlib
import json
import zipfile
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.build.cache import Cache
from edgecnn.build.recipe import Recipe
from edgecnn.build.start import Arrays
from edgecnn.errors import ModelError, UsageError

CONFIG, WEIGHTS = "model.json", "weights.npz"


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """What a stage of an earlier build left: layers of the same name and shapes begin as they were there.

    Attributes:
        artifact: the key of a stage that made a float network, as ``report.json`` lists it under ``stages``, while it
            is in the user's cache; or a folder with its ``model.json`` and ``weights.npz``.
    """

    artifact: str = field(metadata={"decides": False})
    source: str = field(default="earlier", init=False)

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        return [] if self.artifact else ["Earlier takes the key or the folder of an artifact"]

    def misfits(self, recipe: Recipe) -> list[str]:
        """See `edgecnn.build.start.Start`."""
        return []

    def digest(self, recipe: Recipe) -> str:
        """See `edgecnn.build.start.Start`."""
        config, weights = self._files()
        return hashlib.sha256(config + hashlib.sha256(weights).digest()).hexdigest()

    def arrays(self, recipe: Recipe) -> Arrays:
        """See `edgecnn.build.start.Start`."""
        folder = self._folder()
        try:
            counts = _counts(json.loads((folder / CONFIG).read_bytes()))
            with np.load(folder / WEIGHTS) as file:
                arrays = [file[f"arr_{number}"] for number in range(len(file.files))]
        except (OSError, ValueError, LookupError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
            raise self._refused(f"cannot be read: {' '.join(str(error).split()) or type(error).__name__}") from error
        if sum(counts.values()) != len(arrays):
            raise self._refused(f"has {len(arrays)} arrays for {sum(counts.values())} weights of its layers")
        places = pairwise(accumulate(counts.values(), initial=0))
        return {name: arrays[first:end] for name, (first, end) in zip(counts, places, strict=True) if end > first}

    def _files(self) -> tuple[bytes, bytes]:
        folder = self._folder()
        return (folder / CONFIG).read_bytes(), (folder / WEIGHTS).read_bytes()

    def _folder(self) -> Path:
        known = Cache().root / self.artifact
        for folder in (Path(self.artifact), known):
            if (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file():
                return folder
        raise UsageError(
            "There is no such artifact to start from.",
            received=f"{self.artifact}; looked for {known}",
            accepted=f"the key of a stage that trains, as report.json has it, or a folder with {CONFIG} and {WEIGHTS}",
            remedy="build the earlier recipe again, which gives the stage its old key",
        )

    def _refused(self, what: str) -> ModelError:
        return ModelError(
            f"The earlier network {what}.",
            received=self.artifact,
            accepted="what a stage of edgecnn left",
            remedy="delete that folder and build the earlier recipe again",
        )


def _counts(config: dict[str, Any]) -> dict[str, int]:
    """How many arrays each layer of a network has, in its order, which is that of the arrays."""
    return {
        layer["config"]["name"]: _count(layer["class_name"], layer["config"]) for layer in config["config"]["layers"]
    }


def _count(kind: str, settings: dict[str, Any]) -> int:
    """How many arrays a layer has; the kinds that networks are built of, and none for all that have no weights."""
    if kind in ("Conv2D", "DepthwiseConv2D", "Dense"):
        return 1 + bool(settings["use_bias"])
    return 2 + bool(settings["scale"]) + bool(settings["center"]) if kind == "BatchNormalization" else kind == "PReLU"
