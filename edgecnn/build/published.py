"""Data sets that everybody compares on, by name."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecnn.build.arrays import Idx, of_arrays
from edgecnn.build.data import Dataset
from edgecnn.errors import DataError
from edgecnn.images import Split, SplitRule
from edgecnn.preprocess import InputSpec
from edgecnn.progress import SILENT, Progress
from edgecnn.silence import silenced

LABELS = {
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    "fashion_mnist": (
        ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
    ),
}
_PACKAGED = {"fashion_mnist": Path("/usr/share/datasets/fashion-mnist")}  # Debian: dataset-fashion-mnist


@dataclass(frozen=True, kw_only=True)
class Published:
    """A data set by name: ``tf_keras.datasets``, or what a Debian package has put on disk.

    Attributes:
        name: ``cifar10`` or ``fashion_mnist``.
        rule: the shares of validation and calibration, which are taken from the published training images.
    """

    name: str
    rule: SplitRule = SplitRule()

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        problems = self.rule.problems()
        if self.name not in LABELS:
            problems.append(f"a published data set is one of {', '.join(LABELS)}, not {self.name!r}")
        return problems

    def open(self, spec: InputSpec, progress: Progress = SILENT) -> Dataset:
        """See `edgecnn.build.data.Source`.

        Raises:
            DataError: it is not on disk and cannot be downloaded.
        """
        labels, packaged = LABELS[self.name], _PACKAGED.get(self.name)
        if packaged and packaged.is_dir():
            return Idx(path=str(packaged), labels=labels, rule=self.rule).open(spec, progress)
        from edgecnn.build.keras import keras

        try:
            with silenced():
                train, test = getattr(keras.datasets, self.name).load_data()
        except Exception as error:  # whatever the network, the disk and the unpacking may raise
            raise DataError(
                f"The data set {self.name} is not on disk and cannot be downloaded.",
                received=str(error).strip().splitlines()[0],
                accepted="a connection, or a folder with the images",
                remedy="pass --data DIR: a folder with train/ and test/, or IDX files",
            ) from error
        arrays: dict[Split, Any] = {"train": train, "test": test}
        return of_arrays(labels, {split: (x, y.ravel()) for split, (x, y) in arrays.items()}, self.rule, spec)
