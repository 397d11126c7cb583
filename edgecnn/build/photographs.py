"""Photographs without labels: enough to quantize a network that has learned elsewhere, and to prove it the same."""

from dataclasses import dataclass
from pathlib import Path

import edgecnn
from edgecnn.build.data import Dataset, Loaded, content_digest, split_images
from edgecnn.errors import DataError
from edgecnn.evaluation import UNKNOWN
from edgecnn.images import SplitRule, UnreadableImage, read_image, visible_files
from edgecnn.preprocess import InputSpec, Pixels
from edgecnn.progress import Progress

LEAST = 4  # so that neither split is empty but by bad luck, which is said
_PACKAGE = Path(edgecnn.__file__).parent
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
        return SplitRule(validation=0.0, calibration=0.5, test=0.5)

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        return [] if len(self.labels) > 1 else [f"Photographs takes the labels of a network, not {self.labels}"]

    def open(self, spec: InputSpec) -> Dataset:
        """See `edgecnn.build.data.Source`; copies of a photograph count once.

        Raises:
            DataError: too few photographs, or none that can be read.
        """
        folder = shipped() if self.path is None else Path(self.path)
        files = [path for path in visible_files(folder) if path.suffix.lower() in _SUFFIXES]
        frames: dict[str, Pixels] = {}
        left_out = []
        for path in files:
            try:
                frame, digest = read_image(path)
                frames[digest] = spec.apply(frame)
            except UnreadableImage as error:
                left_out.append((str(path), str(error)))
        digests = sorted(frames)
        parts = {self.rule.split_of(digest) for digest in digests}
        if len(digests) < LEAST or len(parts) < 2:
            raise _too_few(folder, len(digests), len(left_out))

        def load(progress: Progress) -> Loaded:
            splits = split_images(
                [frames[digest] for digest in digests], [UNKNOWN] * len(digests), digests, self.rule, spec
            )
            return Loaded(splits=splits, left_out=tuple(left_out))

        digest = content_digest(self.rule, [self.labels, digests])
        return Dataset(labels=self.labels, digest=digest, rule=self.rule, labelled=False, _load=load)


def shipped() -> Path:
    """The folder of the photographs that edgecnn brings."""
    installed = _PACKAGE / "calibration_data"
    return installed if installed.is_dir() else _PACKAGE.parent / "calibration_data"


def _too_few(folder: Path, found: int, unreadable: int) -> DataError:
    return DataError(
        f"There are too few photographs in {folder}.",
        received=f"{found} different ones, {unreadable} unreadable",
        accepted=f"at least {LEAST}; 60 of what the camera will see are good",
        remedy="add photographs, or leave out --data: edgecnn brings some",
    )
