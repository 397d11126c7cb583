"""Images that show none of the classes: what a device should call unknown."""

from dataclasses import dataclass, replace
from pathlib import Path

from edgecnn.build.cache import Cache
from edgecnn.build.data import Dataset, Loaded
from edgecnn.build.photographs import unlabelled
from edgecnn.errors import DataError
from edgecnn.images import SPLITS
from edgecnn.preprocess import InputSpec
from edgecnn.progress import SILENT, Progress

LEAST = 20  # under which a share of 5 % is less than one image


@dataclass(frozen=True, kw_only=True)
class OutOfSet:
    """A folder of any images, with folders in it or not, that show none of the recipe's classes.

    By their content one half, ``calibration``, chooses the threshold under which an answer is unknown, and the other,
    ``test``, measures what is let in all the same. Nothing is trained on them.

    Attributes:
        path: the folder.
    """

    path: str

    def problems(self) -> list[str]:
        """Nothing can be wrong that opening it would not say."""
        return []

    def open(self, spec: InputSpec, progress: Progress = SILENT) -> Dataset:
        """The images at the network's size; copies count once.

        Raises:
            DataError: there is no such folder; when they are loaded: fewer than `LEAST` of them can be read.
        """
        folder = Path(self.path)
        if not folder.is_dir():
            raise _refused("There is no such folder of images that show none of the classes.", str(folder))
        found = unlabelled(folder, (), spec, progress)

        def load(progress: Progress, cache: Cache) -> Loaded:
            loaded = found._load(progress, cache)
            if (number := sum(map(len, loaded.splits.values()))) < LEAST:
                message = "There are too few images that show none of the classes to choose a threshold by."
                raise _refused(message, f"{number} different images that can be read in {folder}")
            return loaded

        return replace(found, _load=load)


def check_apart(out_of_set: Dataset, data: Dataset) -> None:
    """Make sure that no image shows one of the classes and none; both data sets are loaded.

    Raises:
        DataError: one does.
    """
    known = {digest for split in SPLITS for digest in data[split].digests}
    strangers = [digest for split in SPLITS for digest in out_of_set[split].digests]
    if both := sum(digest in known for digest in strangers):
        message = "Images of the data are among those that show none of its classes."
        raise _refused(message, f"{both} of {len(strangers)} images")


def _refused(message: str, received: str) -> DataError:
    return DataError(
        message,
        received=received,
        accepted=f"a folder of at least {LEAST} images, in folders or not, none of which is in the data",
        remedy="name another folder with --unknown, or leave it out",
    )
