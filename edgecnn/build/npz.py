"""Data sets in one ``.npz`` file, as Keras has them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.build.arrays import of_arrays
from edgecnn.build.data import Dataset
from edgecnn.errors import DataError
from edgecnn.images import Split, SplitRule
from edgecnn.preprocess import InputSpec
from edgecnn.progress import SILENT, Progress
from edgecnn.splits import name_faults

_PARTS: tuple[tuple[Split, str], ...] = (("train", "train"), ("validation", "val"), ("test", "test"))
_NEEDED = ("x_train", "x_test")


@dataclass(frozen=True, kw_only=True)
class Npz:
    """A ``.npz`` file as ``tf_keras.datasets`` has them: ``x_train``, ``y_train``, ``x_test``, ``y_test``.

    ``x_val`` and ``y_val`` may be there, too, and ``labels``, one name a class. Images are uint8, (n, height, width)
    or (n, height, width, 1 or 3), grey or RGB; classes are whole numbers from 0, (n,) or (n, 1). Nothing in it is
    unpickled. It is read into memory whole.

    Attributes:
        path: the file.
        labels: one name a class; empty takes those of the file, else numbers.
        rule: the shares of the splits that the file does not have, which are taken from ``x_train``.
    """

    path: str
    labels: tuple[str, ...] = ()
    rule: SplitRule = SplitRule()

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        return self.rule.problems()

    def open(self, spec: InputSpec, progress: Progress = SILENT) -> Dataset:
        """See `edgecnn.build.data.Source`.

        Raises:
            DataError: the file is missing, damaged or holds something else; all that is wrong with it is said.
        """
        content = _read(Path(self.path))
        parts = {split: (f"x_{name}", f"y_{name}") for split, name in _PARTS if f"x_{name}" in content}
        problems = [f"there is no {name}" for name in _NEEDED if name not in content]
        problems += [problem for x, y in parts.values() for problem in _part_problems(content, x, y)]
        if problems:
            raise _unusable(self.path, problems)
        arrays = {split: (content[x], content[y].reshape(-1)) for split, (x, y) in parts.items()}
        classes = 1 + max(int(truth.max(initial=0)) for _, truth in arrays.values())
        labels = self.labels or _labels(content) or tuple(str(number) for number in range(classes))
        problems = [fault.what for fault in name_faults(labels)]
        if classes > len(labels):
            problems.append(f"its classes go up to {classes - 1}, and there are {len(labels)} labels")
        if problems:
            raise _unusable(self.path, problems)
        return of_arrays(labels, arrays, self.rule, spec)


def _read(path: Path) -> Mapping[str, NDArray[Any]]:
    known = {f"{kind}_{name}" for _, name in _PARTS for kind in "xy"} | {"labels"}
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files if name in known}
    except Exception as error:  # whatever zip, zlib, numpy and the disk raise over bytes that anybody may have written
        raise _unusable(str(path), [f"it cannot be read ({error})"]) from error


def _part_problems(content: Mapping[str, NDArray[Any]], x: str, y: str) -> list[str]:
    images, truth = content[x], content.get(y)
    problems = []
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or images.shape[3:] not in ((), (1,), (3,)):
        problems.append(f"{x} is {images.dtype} {images.shape}")
    if truth is None:
        return [*problems, f"there is no {y}"]
    if truth.dtype.kind not in "iu" or not truth.ndim or truth.shape[1:] not in ((), (1,)):
        problems.append(f"{y} is {truth.dtype} {truth.shape}")
    elif truth.min(initial=0) < 0 or truth.max(initial=0) >= 2**16:
        problems.append(f"{y} has classes from {truth.min()} to {truth.max()}")
    if images.shape[:1] != truth.shape[:1]:
        problems.append(f"{x} and {y} are not of one length, {images.shape[:1]} and {truth.shape[:1]}")
    return problems


def _labels(content: Mapping[str, NDArray[Any]]) -> tuple[str, ...]:
    return tuple(str(name) for name in content["labels"].ravel()) if "labels" in content else ()


def _unusable(path: str, problems: list[str]) -> DataError:
    return DataError(
        f"The data in {path} cannot be used: {'; '.join(problems)}.",
        received=path,
        accepted="x_train, y_train, x_test, y_test, perhaps x_val, y_val and labels: images uint8 (n, height, width) "
        "or (n, height, width, 1 or 3), classes whole numbers (n,), labels one text a class",
        remedy="save it with numpy.savez_compressed(PATH, x_train=..., ...)",
    )
