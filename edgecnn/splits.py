"""Whether classes and their images are such that a build can train, choose and measure with them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, log

from edgecnn.errors import DataError
from edgecnn.images import GIVE_PERMISSION, Split, SplitRule, is_label

_NEEDED: tuple[Split, ...] = ("train", "validation", "test")
GOOD_START = 100
"""Images of a class that a training begins well with."""
_SHOWN = 20
_NAMED = 8  # classes in one sentence
_REMEDIES = {
    "label": "rename it: one line of UTF-8",
    "case": "rename one, or put all their images into one",
    "one-class": "add another, such as one of pictures that show nothing of interest",
    "empty-class": "put images into it, or delete it",
    "locked-class": GIVE_PERMISSION,
    "missing-in-split": "add images; an image's split follows from its content, or from your train/, val/ and test/",
}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Why a build refuses images.

    Attributes:
        kind: a word for it that does not change.
        what: what is wrong, in a sentence.
    """

    kind: str
    what: str

    @property
    def remedy(self) -> str:
        """What to do about it; the same for all of a kind."""
        return _REMEDIES[self.kind]


def images_needed(rule: SplitRule) -> int:
    """How many images of a class are in 99 of 100 cases enough for one in every split."""
    shares = [share for share in (rule.validation, rule.test) if share] or [rule.calibration]
    return ceil(log(0.01) / log(1 - min(shares)))


def few_images(sizes: Mapping[str, int], rule: SplitRule) -> str | None:
    """Which classes have so few images that a split may be without one, in a sentence; None where none has.

    Args:
        sizes: images of each class, by its name.
        rule: the shares of the splits.
    """
    needed = images_needed(rule)
    few = sorted((label for label, size in sizes.items() if 0 < size < needed), key=lambda label: sizes[label])
    named = [f"{label} has {sizes[label]}" for label in few[:_NAMED]]
    more = f" and {len(few) - _NAMED} more classes under {needed}" if len(few) > _NAMED else ""
    return f"few images: {', '.join(named)}{more}" if few else None


def name_faults(names: Sequence[str]) -> list[Fault]:
    """Why these cannot be the names of classes."""
    faults = [Fault(kind="label", what=f"{name!a} cannot be a label") for name in names if not is_label(name)]
    spellings: dict[str, list[str]] = {}
    for name in names:
        spellings.setdefault(name.lower(), []).append(name)
    for alike in spellings.values():
        if len(alike) > 1:
            what = f"the names of the classes {' and '.join(alike)} are the same but for case"
            faults.append(Fault(kind="case", what=what))
    if len(names) == 1:
        faults.append(Fault(kind="one-class", what=f"there is one class only, {names[0]}"))
    return faults


def faults(
    labels: Sequence[str], counts: Mapping[Split, Mapping[int, int]], locked: Collection[int] = ()
) -> list[Fault]:
    """Everything for which a build refuses images.

    Args:
        labels: the names of the classes.
        counts: by split, how many images each class has, by its index; a class without any may be missing.
        locked: classes with files for which permission is missing.
    """
    found, sizes = name_faults(labels), _sizes(labels, counts)
    for index, label in enumerate(labels):
        missing = [split for split in _NEEDED if not counts[split].get(index)]
        if not sizes[index] and index in locked:
            what = f"the class {label} has no image that can be used, for permission to read is missing"
            found.append(Fault(kind="locked-class", what=what))
        elif not sizes[index]:
            found.append(Fault(kind="empty-class", what=f"the class {label} has no image that can be used"))
        elif missing:
            what = f"the class {label} has no {' and no '.join(missing)} image"
            found.append(Fault(kind="missing-in-split", what=what))
    if any(sizes) and not sum(counts["calibration"].values()):
        found.append(Fault(kind="missing-in-split", what="there is no calibration image"))
    return found


def check_splits(
    labels: Sequence[str],
    counts: Mapping[Split, Mapping[int, int]],
    rule: SplitRule,
    locked: Collection[int] = (),
) -> None:
    """Make sure that classes can be told apart and that each has an image in every split; see `faults`.

    Args:
        labels: the names of the classes.
        counts: by split, how many images each class has, by its index.
        rule: the shares of the splits.
        locked: classes with files for which permission is missing.

    Raises:
        DataError: not so; it says all that is wrong, and how many images it takes.
    """
    if found := faults(labels, counts, locked):
        lines = _first([f"\n  - {fault.what}: {fault.remedy}" for fault in found], "\n  - and {} more")
        sizes = [f"{label}: {size}" for label, size in zip(labels, _sizes(labels, counts), strict=True)]
        raise DataError(
            f"The data cannot be used:{''.join(lines)}",
            received=", ".join(_first(sizes, "and {} more classes")),
            accepted=f"two classes and more, and images of each in every split; {images_needed(rule)} a class are "
            "enough in 99 of 100 cases",
            remedy="mend these, and run the command again; `edgecnn data DIR` shows a folder file by file",
        )


def _sizes(labels: Sequence[str], counts: Mapping[Split, Mapping[int, int]]) -> list[int]:
    """Images of each class."""
    return [sum(by_class.get(index, 0) for by_class in counts.values()) for index in range(len(labels))]


def _first(lines: list[str], more: str) -> list[str]:
    """So many that a person reads them."""
    return lines if len(lines) <= _SHOWN else [*lines[:_SHOWN], more.format(f"{len(lines) - _SHOWN:,}")]


def check_unlabelled(sizes: Mapping[Split, int]) -> None:
    """Make sure that of images without labels there are some to calibrate with, and others to measure with.

    Args:
        sizes: by split, how many images it has.

    Raises:
        DataError: not so.
    """
    if not (sizes["calibration"] and sizes["test"]):
        raise DataError(
            "There are too few photographs.",
            received=f"{sizes['calibration']} to calibrate with and {sizes['test']} to measure with",
            accepted="some of each; 60 of what the camera will see are good",
            remedy="add photographs; a photograph's split follows from its content and does not change",
        )
