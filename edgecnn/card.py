"""The model card: what a file is for, what it was made of, how good it is, and what it is not for.

As Markdown, from facts alone (Mitchell et al. 2019, arXiv:1810.03993, for what belongs into one). The bundle's manifest
has them, so that whoever has the file has its card (`edgecnn show --card`); a build, which knows more, writes it beside
the model. A text in the bundle would say the same a second time, and its 4 kB could not hold it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from edgecnn.bundle import Bundle, nothing_classes
from edgecnn.errors import BundleError

_LISTED = 40  # labels


def card(bundle: Bundle, report: Mapping[str, Any] | None = None) -> str:
    """The card of a file that edgecnn built.

    Args:
        bundle: the file.
        report: of its build, which has figures that no manifest has.

    Raises:
        BundleError: edgecnn did not build it, so that nothing is known.
    """
    if bundle.manifest is None:
        raise BundleError(
            "This file has no model card.",
            accepted="a file that `edgecnn build` made",
            remedy="ask whoever built it",
        )
    parts = (_head, _use, _data, _figures, _limits, _licence, _made)
    return "\n".join(line for part in parts for line in part(bundle, bundle.manifest, report or {})) + "\n"


def _head(bundle: Bundle, manifest: dict[str, Any], report: Mapping[str, Any]) -> Iterator[str]:
    spec = manifest["input"]
    yield f"# Model card: {plain(manifest['name'])}"
    yield ""
    channels = "RGB" if spec["channels"] == 3 else "grey"
    yield (
        f"An int8 `.tflite` that gives one of {len(bundle.labels)} classes to an image of "
        f"{spec['height']}x{spec['width']} pixels ({channels}, {spec['resize'].replace('_', ' ')}). "
        f"{len(bundle.data):,} bytes; SHA-256 of the model `{manifest['model_sha256']}`."
    )


def _use(bundle: Bundle, manifest: dict[str, Any], report: Mapping[str, Any]) -> Iterator[str]:
    shown = ", ".join(plain(label) for label in bundle.labels[:_LISTED])
    yield from ("", "## Intended use", "")
    yield f"To tell these classes apart, on a device: {shown}{', ...' if len(bundle.labels) > _LISTED else ''}."
    if stated := manifest.get("card", {}).get("intended_use"):
        yield plain(stated)
    yield "Images should be like those that it was built from: the same kind of camera, light and distance."
    if bundle.threshold:
        yield f"A best score under {bundle.threshold:.3f} means *unknown*."
    if bundle.threshold and (nothing := nothing_classes(bundle.labels)):
        yield f"So does the answer {' or '.join(plain(bundle.labels[index]) for index in nothing)}."


def _data(bundle: Bundle, manifest: dict[str, Any], report: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", "## Data", "")
    splits = manifest["splits"]
    shares = ", ".join(f"{name} {share:g}" for name, share in splits["rule"].items() if isinstance(share, float | int))
    yield f"Split by the content of each image ({shares}); no image is in two splits."
    yield "By these digests it can be told whether images are those of the build:"
    yield ""
    counts = report.get("data", {})
    for name, digest in splits["digests"].items():
        number = f" ({counts[name]:,} images)" if name in counts else ""
        yield f"- {name}{number}: `{digest}`"
    start = report.get("start")
    if start:
        yield ""
        yield f"Training began with weights of {plain(start['source'])} (SHA-256 `{start['digest']}`)."
    for warning in report.get("warnings", ()):
        yield f"- {plain(warning)}"


def _figures(bundle: Bundle, manifest: dict[str, Any], report: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", "## Figures", "")
    yield "Measured on the file itself, on the test split, through the code that runs on the device."
    yield from ("", "| figure | value |", "|---|---|")
    names = {
        "int8": "accuracy of this file",
        "float": "accuracy of the float network, before pruning and quantization",
        "ptq": "accuracy after plain post-training quantization",
        "agreement": "agreement with the float network that was converted",
    }
    for name, value in sorted(manifest["accuracy"].items(), key=lambda item: list(names).index(item[0])):
        told = "not known: the images have no labels" if value is None else f"{value:.4f}"
        if name == "int8" and report and value is not None:
            low, high = report["int8"]["accuracy_interval"]
            told += f" (95 % interval {low:.3f} to {high:.3f})"
        yield f"| {names[name]} | {told} |"
    for name, value in manifest.get("confidence", {}).items():
        yield f"| {name} of the scores | {'none' if value is None else f'{value:.4f}'} |"
    if report:
        host = report["board"]
        yield f"| bytes, gzip | {report['model']['gzip_bytes']:,} |"
        where = plain(f"{host['board'] or host['processor']}, {host['cores']} cores")
        yield f"| p50 of one invoke, one thread | {report['int8']['p50_ms']} ms on {where} |"
        for gate in report["gates"]:
            kept = "kept" if gate["passed"] else "missed"
            yield f"| promise: {gate['name']} {gate['limit']} | {kept}, {gate['value']} |"


def _limits(bundle: Bundle, manifest: dict[str, Any], report: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", "## Limits", "")
    yield "- One answer an image, about the whole of it: no boxes, no counts, no several things at once."
    yield "- What the data does not show, it was not tested on: other cameras, places, weather, people."
    if not bundle.threshold:
        yield "- It has no threshold: it names a class for every image, whatever that shows."
    elif not nothing_classes(bundle.labels):
        yield "- It has no class of nothing. A threshold alone lets in much of what is none of its classes."
    for limit in manifest.get("card", {}).get("limits", ()):
        yield f"- {plain(limit)}"
    yield "- Do not let it alone decide about anybody's safety, health, rights or money."
    silent = (report.get("confusion") or {}).get("never_answered", ())
    if silent:
        yield f"- It never answered {', '.join(map(plain, silent[:_LISTED]))} on the test split."
    worst = _worst(report)
    if worst:
        label, figures = worst
        low, high = figures["accuracy_interval"]
        yield (
            f"- Worst class: {plain(label)}, {figures['accuracy']:.4f} right "
            f"({low:.3f} to {high:.3f}) of {figures['n']} test images."
        )


def _worst(report: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    classes = report.get("int8", {}).get("per_class", {})
    return min(classes.items(), key=lambda item: item[1]["accuracy"], default=None)


def _licence(bundle: Bundle, manifest: dict[str, Any], report: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", "## Licence", "")
    if stated := manifest.get("card", {}).get("licence"):
        yield plain(stated)
        return
    yield "Nobody has stated one here. It is for whoever built the file to say, and follows from the rights in the"
    yield "images, and in the weights that training began with, if any. edgecnn itself (Apache-2.0) claims none in it."


def _made(bundle: Bundle, manifest: dict[str, Any], report: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", "## How it was made", "")
    recipe, provenance = manifest["recipe"], manifest["provenance"]
    if "architecture" in recipe:
        yield f"Network `{recipe['architecture']['type']}`, seed {recipe['seed']}. Stages, each with its key:"
        yield ""
    for stage, key in provenance["keys"].items():
        yield f"- {plain(stage)}: `{key}`"
    yield ""
    yield "Versions: " + ", ".join(f"{name} {version}" for name, version in provenance["versions"].items()) + "."


def plain(text: str) -> str:
    """What is Markdown or HTML in a text, as text."""
    return re.sub(r"([\\`*_{}\[\]<>|#&~!])", r"\\\1", " ".join(text.split()))
