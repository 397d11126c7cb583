"""Accuracy of a file: what `Classifier` answers against what is true."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle import Bundle
from edgecnn.errors import DataError, UsageError
from edgecnn.images import SPLITS, ImageFile, SplitRule, UnreadableImage, class_folders, read_image, split_digest
from edgecnn.inference import Classifier
from edgecnn.preprocess import Pixels
from edgecnn.progress import Progress

UNKNOWN = -1  # the class of an image without a label
_Z = NormalDist().inv_cdf(0.975)  # of two sides of 2.5 % each


def wilson(right: int, n: int) -> tuple[float, float]:
    """The 95 % score interval of a share that was measured on a sample (Wilson 1927).

    Unlike the textbook's normal interval it is inside [0, 1], and holds for shares near 0 and 1, as accuracies are.

    Args:
        right: how many of the sample, from 0 to n.
        n: the size of the sample, at least 1; its members are independent of each other.

    Returns:
        The lower and the upper end, fractions rounded to six places.
    """
    share, spread = right / n, _Z * _Z / n
    centre = (share + spread / 2) / (1 + spread)
    half = _Z * sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    return round(max(0.0, centre - half), 6), round(min(1.0, centre + half), 6)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Answers over a set of images.

    Attributes:
        labels: one name a class.
        truth: (n,), int64, the true classes; all of them `UNKNOWN` where nobody has said them.
        answers: (n,), int64, the classes of the best scores; of equal scores the lower class.
        scores: (n,), float32, the best scores.
    """

    labels: tuple[str, ...]
    truth: NDArray[np.int64]
    answers: NDArray[np.int64]
    scores: NDArray[np.float32]

    @property
    def accuracy(self) -> float | None:
        """The fraction of right answers; None where it is not known which are right."""
        return None if (self.truth == UNKNOWN).all() else round(float((self.truth == self.answers).mean()), 6)

    def figures(self) -> dict[str, Any]:
        """``accuracy``, and ``accuracy_interval`` (low, high), as JSON; null where not known; see `wilson`."""
        if self.accuracy is None:
            return {"accuracy": None, "accuracy_interval": None}
        right = int((self.truth == self.answers).sum())
        return {"accuracy": self.accuracy, "accuracy_interval": list(wilson(right, len(self.truth)))}

    def per_class(self) -> dict[str, dict[str, Any]]:
        """Accuracy with its interval, and number of images, of each class that has any."""
        found = {}
        for index, label in enumerate(self.labels):
            if (mine := self.truth == index).any():
                part = replace(self, truth=self.truth[mine], answers=self.answers[mine], scores=self.scores[mine])
                found[label] = {**part.figures(), "n": int(mine.sum())}
        return found


def evaluate(classifier: Classifier, images: Iterable[tuple[Pixels, int]]) -> Evaluation:
    """Classify images one by one, as the device does.

    Args:
        classifier: what is measured.
        images: frames, (any height, any width, 3) uint8 RGB or already at the network's size, each with its class.
    """
    truth, answers, best = [], [], []
    for frame, label in images:
        classifier.invoke(classifier.preprocess(frame))
        scores = classifier.scores()
        truth.append(label)
        answers.append(int(np.argmax(scores)))
        best.append(scores[answers[-1]])
    return Evaluation(
        labels=classifier.bundle.labels,
        truth=np.array(truth, int),
        answers=np.array(answers, int),
        scores=np.array(best, np.float32),
    )


def evaluate_folder(classifier: Classifier, root: Path, *, split: str | None, progress: Progress) -> dict[str, Any]:
    """Measure a file on a folder of class folders.

    Args:
        classifier: what is measured.
        root: the folder; the names of its folders are labels of the bundle.
        split: ``test``, ``all``, or None: test on the folder that the bundle was built from, all of any other.
        progress: where to say how far it is, and which images are measured.

    Returns:
        ``schema``, ``accuracy``, ``accuracy_interval``, ``n``, ``split``, ``per_class``, ``left_out`` and ``runtime``.

    Raises:
        DataError: the folder is unusable, or a class is none of the bundle's.
        UsageError: no such split of this folder.
    """
    if split not in (None, "test", "all"):
        raise UsageError(
            "There is no such split.", received=split, accepted="test or all", remedy="choose one of these"
        )
    bundle = classifier.bundle
    names, files = class_folders(root)
    classes = _classes(names, bundle)
    digests, left_out = _readable(files, progress)
    if left_out:
        progress.say(f"{len(left_out)} files are left out:" + "".join(f"\n  {path} ({why})" for path, why in left_out))
    measured, chosen = _choose(bundle, digests, split, progress)
    if not chosen:
        raise DataError(
            f"There is no image to measure with in {root}.",
            received=f"{len(files)} files, {len(left_out)} of them unreadable",
            accepted="images in class folders",
            remedy="add images, or pass another folder",
        )

    def frames() -> Iterable[tuple[Pixels, int]]:
        for done, file in enumerate(chosen, start=1):
            yield read_image(file.path)[0], classes[file.label]
            progress.update(done, len(chosen), "evaluating")

    result = evaluate(classifier, frames())
    return {
        "schema": 1,
        **result.figures(),
        "n": len(chosen),
        "split": measured,
        "per_class": result.per_class(),
        "left_out": [{"path": path, "reason": why} for path, why in left_out],
        "runtime": classifier.runtime,
    }


def _choose(
    bundle: Bundle, digests: dict[ImageFile, str], split: str | None, progress: Progress
) -> tuple[str, list[ImageFile]]:
    """The split that is measured, and its images: of the folder that the bundle was built from the test split alone."""
    if not _built_from(bundle, digests):
        if split == "test":
            raise UsageError(
                "The bundle was not built from this folder, so it has no test split here.",
                received="--split test",
                accepted="the folder that the bundle was built from, or --split all",
                remedy="leave out --split: all images are measured",
            )
        if _splits(bundle) and split is None:
            progress.say("No split of this folder is one that the bundle was built from: measuring all images.")
        return "all", list(digests)
    if split == "all":
        return "all", list(digests)
    progress.say("The bundle was built from this folder: measuring its test split alone (--split all takes all).")
    rule = _rule(bundle)
    return "test", [file for file, digest in digests.items() if rule.split_of(digest, file.given) == "test"]


def _classes(names: tuple[str, ...], bundle: Bundle) -> dict[int, int]:
    """The bundle's class of each folder."""
    strangers = [name for name in names if name not in bundle.labels]
    if strangers:
        shown = ", ".join(bundle.labels[:12]) + (", ..." if len(bundle.labels) > 12 else "")
        raise DataError(
            f"The model has no class {', '.join(strangers)}.",
            received=", ".join(names),
            accepted=f"folders named like the model's classes: {shown}",
            remedy="rename the folders, or take a model of these classes",
        )
    return {index: bundle.labels.index(name) for index, name in enumerate(names)}


def _readable(files: tuple[ImageFile, ...], progress: Progress) -> tuple[dict[ImageFile, str], list[tuple[str, str]]]:
    """The digest of each file that is an image, and the others with the reason."""
    digests, left_out = {}, []
    for done, file in enumerate(files, start=1):
        try:
            digests[file] = read_image(file.path)[1]
        except UnreadableImage as error:
            left_out.append((str(file.path), str(error)))
        progress.update(done, len(files), "reading images")
    return digests, left_out


def _rule(bundle: Bundle) -> SplitRule:
    return SplitRule(**_splits(bundle)["rule"])


def _splits(bundle: Bundle) -> dict[str, Any]:
    splits: dict[str, Any] = (bundle.manifest or {}).get("splits", {})
    return splits


def _built_from(bundle: Bundle, digests: dict[ImageFile, str]) -> bool:
    """Whether any split of these images is that of the build: an image that was added changes one split alone."""
    if not _splits(bundle):
        return False
    rule, known = _rule(bundle), _splits(bundle)["digests"]
    members: dict[str, list[str]] = {split: [] for split in SPLITS}
    for file, digest in digests.items():
        members[rule.split_of(digest, file.given)].append(digest)
    return any(known[split] == split_digest(members[split]) for split in SPLITS)
