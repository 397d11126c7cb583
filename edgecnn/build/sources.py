"""The user's own data in the place of a recipe's."""

from dataclasses import replace
from pathlib import Path

from edgecnn.build.arrays import Idx
from edgecnn.build.data import Folder, Source
from edgecnn.build.npz import Npz
from edgecnn.build.photographs import Photographs
from edgecnn.build.published import LABELS, Published
from edgecnn.build.tfrecord import TFRecord


def at(path: Path, instead_of: Source) -> Source:
    """What is at a path: a ``.npz`` file, IDX or TFRecord files, or else class folders; photographs for `Photographs`.

    Args:
        path: of the file or the folder.
        instead_of: the recipe's own; its split rule stays, and where it is `Published` its labels do for arrays.
    """
    if isinstance(instead_of, Photographs):
        return replace(instead_of, path=str(path))
    rule = instead_of.rule
    labels = LABELS[instead_of.name] if isinstance(instead_of, Published) else ()
    if path.suffix == ".npz":
        return Npz(path=str(path), labels=labels, rule=rule)
    if any(path.glob("*-idx*-ubyte*")):
        return Idx(path=str(path), labels=labels, rule=rule)
    if any(path.glob("*.tfrecord*")):
        return TFRecord(path=str(path), rule=rule)
    return Folder(path=str(path), rule=rule)
