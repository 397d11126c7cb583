"""Photographs without labels: enough to quantize a network that has learned elsewhere, and to prove it the same."""

from dataclasses import dataclass, replace
from pathlib import Path

import edgecnn
from edgecnn.build.data import Dataset, Item, file_digests, of_items, read_item
from edgecnn.errors import DataError
from edgecnn.evaluation import UNKNOWN
from edgecnn.images import SplitRule, is_folder, listed_files
from edgecnn.preprocess import InputSpec, Pixels
from edgecnn.progress import SILENT, Progress

_PACKAGE = Path(edgecnn.__file__).parent
_HALVES = SplitRule(validation=0.0, calibration=0.5, test=0.5)
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True, kw_only=True)
class Photographs:
    """Photographs of no class: half of them for calibration, half for the agreement with the float network.

    Attributes:
        labels: of the network that is quantized, in the order of its scores.
        path: a folder, with folders in it or not; None for the photographs that edgecnn brings, which are free of
            rights (``calibration_data/manifest.json`` has the source and the licence of each).
    """

    labels: tuple[str, ...]
    path: str | None = None

    @property
    def rule(self) -> SplitRule:
        """Nothing is trained on, so nothing is left to train with."""
        return _HALVES

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        return [] if len(self.labels) > 1 else [f"Photographs takes the labels of a network, not {self.labels}"]

    def open(self, spec: InputSpec, progress: Progress = SILENT) -> Dataset:
        """See `edgecnn.build.data.Source`; copies of a photograph count once.

        Raises:
            DataError: there is no such folder.
        """
        folder = shipped() if self.path is None else Path(self.path)
        if not folder.is_dir():
            raise _no_folder(folder)
        return unlabelled(folder, self.labels, spec, progress)


def unlabelled(folder: Path, labels: tuple[str, ...], spec: InputSpec, progress: Progress = SILENT) -> Dataset:
    """Every photograph below a folder that is there, once, by its content in one of two halves.

    Args:
        folder: with folders in it or not.
        labels: of the network that answers.
        spec: its input.
        progress: where to say how far it is.
    """
    files = [path for path in listed_files(folder) if path.suffix.lower() in _SUFFIXES or is_folder(path)]
    # What cannot be read has no digest, and no copy.
    digests = file_digests(files, progress)
    unique = {digest or str(path): (digest, path) for path, digest in zip(files, digests, strict=True)}
    items = [Item(name=str(path), label=UNKNOWN, digest=digest) for digest, path in sorted(unique.values())]

    def read(index: int) -> Pixels:
        return read_item(items[index])

    content = [list(labels), [item.digest for item in items]]
    return replace(of_items(labels, items, read, content=content, rule=_HALVES, spec=spec), labelled=False)


def shipped() -> Path:
    """The folder of the photographs that edgecnn brings."""
    installed = _PACKAGE / "calibration_data"
    return installed if installed.is_dir() else _PACKAGE.parent / "calibration_data"


def _no_folder(folder: Path) -> DataError:
    return DataError(
        "There is no such folder of photographs.",
        received=str(folder),
        accepted="a folder with photographs, in folders or not",
        remedy="name one with --data, or leave it out: edgecnn brings photographs",
    )
