"""Whether images can be split so that a build can train, choose and measure with them."""

from collections.abc import Mapping
from math import ceil, log

from edgecnn.errors import DataError
from edgecnn.images import Split, SplitRule

_NEEDED: tuple[Split, ...] = ("train", "validation", "test")


def images_needed(rule: SplitRule) -> int:
    """How many images of a class are in 99 of 100 cases enough for one in every split."""
    shares = [share for share in (rule.validation, rule.test) if share] or [rule.calibration]
    return ceil(log(0.01) / log(1 - min(shares)))


def check_splits(labels: tuple[str, ...], counts: Mapping[Split, Mapping[int, int]], rule: SplitRule) -> None:
    """Make sure that each class has an image in every split, and that there is something to calibrate with.

    Args:
        labels: the names of the classes.
        counts: by split, how many images each class has, by its index; a class without any may be missing.
        rule: the shares of the splits.

    Raises:
        DataError: not so; the message says how many images it takes.
    """
    missing = {
        label: splits
        for index, label in enumerate(labels)
        if (splits := [split for split in _NEEDED if not counts[split].get(index)])
    }
    problems = [f"the class {label} has no {' and no '.join(splits)} image" for label, splits in missing.items()]
    if not sum(counts["calibration"].values()):
        problems.append("there is no calibration image")
    if problems:
        needed = images_needed(rule)
        found = [sum(by_class.get(index, 0) for by_class in counts.values()) for index in range(len(labels))]
        raise DataError(
            f"The data cannot be split: {'; '.join(problems)}.",
            received=", ".join(f"{label}: {count}" for label, count in zip(labels, found, strict=True)),
            accepted=f"images of each class in every split; {needed} a class are enough in 99 of 100 cases",
            remedy="add images to these classes; an image's split follows from its content and does not change",
        )


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
