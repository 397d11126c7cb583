"""What is wrong with a folder of photos, what a build does about each thing, and what its owner can do."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from edgecnn.images import GIVE_PERMISSION, NO_PERMISSION, Split
from edgecnn.inspection.folder import Inspection, Seen
from edgecnn.inspection.formats import HANDLED
from edgecnn.splits import GOOD_START, Fault, few_images, images_needed

UNBALANCED = 3
"""How many times the smallest class the largest may be before it is said."""
_NAMED = 8  # classes in one sentence; the counts of all are beside it
_MEASURED: tuple[Split, ...] = ("validation", "test")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Files that a finding is about, and what is to be said of them.

    Attributes:
        paths: below the folder: one file, or a group of files that belong together.
        notes: of each, such as why it cannot be read, or the split that it is in.
    """

    paths: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: a word for it that does not change.
        message: what is wrong.
        build: what a build does about it.
        advice: what the owner of the photos can do.
        places: where; none where it is about classes.
    """

    kind: str
    message: str
    build: str
    advice: str
    places: tuple[Place, ...] = ()


def document(inspection: Inspection) -> dict[str, Any]:
    """All that was seen, as JSON.

    Returns:
        ``schema``, ``root``, ``usable``, ``input`` (what a build brings images to), ``images``, ``classes`` (by label:
        ``images``, how many are in each split, and files that are left out), ``sizes`` and ``findings``; where a build
        would refuse the folder ``error``, too.
    """
    refusal = inspection.refusal()
    return {
        "schema": 1,
        "root": str(inspection.root),
        "usable": refusal is None,
        "input": {"height": inspection.input.height, "width": inspection.input.width},
        "images": len(inspection.images),
        "classes": inspection.counts(),
        "sizes": inspection.sizes(),
        "findings": [asdict(finding) for finding in findings(inspection)],
        **({"error": refusal.as_json()["error"]} if refusal else {}),
    }


def findings(inspection: Inspection) -> tuple[Finding, ...]:
    """Everything that is wrong, the gravest first."""
    return (
        *_refused(inspection),
        *_unreadable(inspection),
        *_copies(inspection),
        *_alike(inspection),
        *_few(inspection),
        *_unbalanced(inspection),
        *_odd(inspection),
        *_tiny(inspection),
        *_outside(inspection),
    )


def _refused(inspection: Inspection) -> Iterable[Finding]:
    """One finding for all that is of a kind."""
    by_kind: dict[str, list[Fault]] = {}
    for fault in inspection.faults():
        by_kind.setdefault(fault.kind, []).append(fault)
    for kind, alike in by_kind.items():
        yield Finding(
            kind=kind,
            message="; ".join(fault.what for fault in alike[:_NAMED])
            + (f"; and {len(alike) - _NAMED:,} more" if len(alike) > _NAMED else ""),
            build="refuses the folder",
            advice=alike[0].remedy,
        )


def _unreadable(inspection: Inspection) -> Iterable[Finding]:
    places: dict[bool, list[Place]] = {True: [], False: []}
    for file, why in inspection.unreadable:
        places[why == NO_PERMISSION].append(Place(paths=(inspection.name(file.path),), notes=(why,)))
    if locked := places[True]:
        yield Finding(
            kind="no-permission",
            message="permission is missing to read " + _counted(len(locked), "file or folder", "files or folders"),
            build="leaves out what it cannot read, and lists it",
            advice=GIVE_PERMISSION,
            places=tuple(locked),
        )
    if unreadable := places[False]:
        yield Finding(
            kind="unreadable",
            message=f"{_counted(len(unreadable), 'file', 'files')} cannot be read as an image",
            build="leaves out what it cannot read, and lists it",
            advice="save it again as JPEG or PNG, or delete it",
            places=tuple(unreadable),
        )


def _copies(inspection: Inspection) -> Iterable[Finding]:
    def across(images: list[Seen]) -> str:
        several_splits = len({image.file.given for image in images}) > 1
        return "classes" if _several_classes(images) else "splits" if several_splits else ""

    yield from _groups(inspection, inspection.copies, across, "copies", _COPIES)


def _alike(inspection: Inspection) -> Iterable[Finding]:
    def across(images: list[Seen]) -> str:
        return "classes" if _several_classes(images) else "splits" if _is_leak(images) else ""

    yield from _groups(inspection, inspection.alike, across, "near-duplicates", _ALIKE)


_Said = dict[str, tuple[str, str, str, str]]  # by what a group is across: of one, of several, what a build does, advice
_COPIES: _Said = {
    "classes": (
        "image is in several classes, byte for byte",
        "images are in several classes, byte for byte",
        "leaves out every copy: a label that contradicts itself teaches nothing",
        "keep the right one",
    ),
    "splits": (
        "image is in several splits, byte for byte",
        "images are in several splits, byte for byte",
        "keeps the one that is furthest from training",
        "nothing, or delete the others",
    ),
    "": (
        "image is in one class more than once, byte for byte",
        "images are in one class more than once, byte for byte",
        "keeps all; copies are in one split, so that nothing is both learnt and tested",
        "delete all but one",
    ),
}
_ALIKE: _Said = {
    "classes": (
        "group of near duplicates across classes",
        "groups of near duplicates across classes",
        "keeps all, so it learns one photo as two things",
        "look at each, and keep the right one",
    ),
    "splits": (
        "group of near duplicates across splits",
        "groups of near duplicates across splits",
        "keeps all: photos that are tested were all but learnt, so accuracy looks better than it is",
        "keep one of each group, or keep each group in one of the folders train/, val/ and test/",
    ),
    "": (
        "group of near duplicates, in one class and not between training and test",
        "groups of near duplicates, in one class and not between training and test",
        "keeps all",
        "nothing, or keep one of each group",
    ),
}


def _groups(
    inspection: Inspection,
    groups: Iterable[tuple[int, ...]],
    across: Callable[[list[Seen]], str],
    kind: str,
    said: _Said,
) -> Iterable[Finding]:
    """One finding for all groups that are across the same; each group is in one finding."""
    places: dict[str, list[Place]] = {each: [] for each in said}
    for group in groups:
        images = [inspection.images[index] for index in group]
        places[across(images)].append(_place(inspection, images))
    for each, (one, many, build, advice) in said.items():
        if places[each]:
            yield Finding(
                kind=f"{kind}-across-{each}" if each else kind,
                message=_counted(len(places[each]), one, many),
                build=build,
                advice=advice,
                places=tuple(places[each]),
            )


def _few(inspection: Inspection) -> Iterable[Finding]:
    sizes = {label: each["images"] for label, each in inspection.counts().items()}
    if message := few_images(sizes, inspection.rule):
        yield Finding(
            kind="few-images",
            message=message,
            build="takes a class that has one at least in training, in validation and in test",
            advice=f"{images_needed(inspection.rule)} a class are enough for one in each split in 99 of 100 cases; "
            f"about {GOOD_START} for a good start",
        )


def _unbalanced(inspection: Inspection) -> Iterable[Finding]:
    counts = {label: each["images"] for label, each in inspection.counts().items()}
    most, least = max(counts, key=lambda label: counts[label]), min(counts, key=lambda label: counts[label])
    if counts[least] and counts[most] > UNBALANCED * counts[least]:
        yield Finding(
            kind="unbalanced",
            message=f"{most} has {counts[most] / counts[least]:.1f} times as many images as {least}: "
            f"{counts[most]:,} and {counts[least]:,}",
            build="weighs each image the same, so what is rare is learnt less well",
            advice="class_weights=True in the recipe's stages that train, or more images of what is rare",
        )


def _odd(inspection: Inspection) -> Iterable[Finding]:
    for what, handled in HANDLED.items():
        if odd := [image for image in inspection.images if what in image.odd]:
            yield Finding(
                kind=what.lower(),
                message=f"{_images(inspection, odd)}: {_NAMES.get(what, what)}",
                build=handled,
                advice=_advice(inspection, odd, what),
                places=_each(inspection, odd),
            )


_NAMES = {"alpha": "an alpha channel (RGBA)", "animated": "several pictures in one file"}


def _advice(inspection: Inspection, odd: list[Seen], what: str) -> str:
    """A property that one class alone has is what will be learnt."""
    if what == "animated":
        return "save the picture that you mean by itself"
    having = {image.file.label for image in odd}
    if len(having) < len(inspection.labels) and len(odd) > 1:
        names = ", ".join(inspection.labels[index] for index in sorted(having)[:_NAMED])
        names += f" and {len(having) - _NAMED} more classes" if len(having) > _NAMED else ""
        return f"only in {names}: see to it that {what} is not what tells the classes apart"
    return "nothing, where the camera's pictures are such, too; else save them again in 8-bit RGB"


def _tiny(inspection: Inspection) -> Iterable[Finding]:
    height, width = inspection.input.height, inspection.input.width
    if tiny := [image for image in inspection.images if image.size[0] < height or image.size[1] < width]:
        yield Finding(
            kind="tiny",
            message=f"{_images(inspection, tiny)}: smaller than the network's input, {height}x{width}",
            build="enlarges what is smaller, which adds no detail",
            advice="larger photos; or where all are small, a smaller input in a copy of the recipe",
            places=_each(inspection, tiny),
        )


def _outside(inspection: Inspection) -> Iterable[Finding]:
    if inspection.outside:
        yield Finding(
            kind="outside",
            message=f"{_counted(len(inspection.outside), 'file lies', 'files lie')} beside the class folders",
            build="looks into the class folders alone",
            advice="move what is a photo into the folder of its class",
            places=tuple(Place(paths=(inspection.name(path),)) for path in inspection.outside),
        )


def _several_classes(images: list[Seen]) -> bool:
    return len({image.file.label for image in images}) > 1


def _is_leak(images: list[Seen]) -> bool:
    """Whether something is measured on one of them and another is somewhere else."""
    splits = {image.split for image in images}
    return len(splits) > 1 and any(split in splits for split in _MEASURED)


def _each(inspection: Inspection, images: list[Seen]) -> tuple[Place, ...]:
    """One place an image with its size; none where it is all of them, for a list of all tells nothing."""
    if len(images) == len(inspection.images):
        return ()
    return tuple(
        Place(paths=(inspection.name(image.file.path),), notes=(f"{image.size[0]}x{image.size[1]}",))
        for image in images
    )


def _place(inspection: Inspection, images: list[Seen]) -> Place:
    return Place(
        paths=tuple(inspection.name(image.file.path) for image in images),
        notes=tuple(image.split or "left out" for image in images),
    )


def _images(inspection: Inspection, some: list[Seen]) -> str:
    return ("all " if len(some) == len(inspection.images) > 1 else "") + _counted(len(some), "image", "images")


def _counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
