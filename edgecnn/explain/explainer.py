"""Why a file answers what it does, as pictures: where in an image it sees a class, and what its layers have learned."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn import drawing
from edgecnn.bundle import Bundle
from edgecnn.errors import DataError, ModelError, UsageError
from edgecnn.explain import features, heat
from edgecnn.explain.saliency import METHODS, Evidence, Map, OnStep, shown
from edgecnn.images import UnreadableImage, read_image
from edgecnn.inference import Classifier, Prediction
from edgecnn.preprocess import Pixels
from edgecnn.progress import Progress

Look = Callable[[Pixels, int, OnStep], Map]
DEFAULT = "rise"  # what it marks first costs the most; `benchmarks/explain_deletion.py`
_ROWS = 50  # of one sheet
_BEST = 3


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Where a file sees a class in a frame.

    Attributes:
        frame: (any height, any width, 3) uint8 RGB.
        region: the part of it that the network sees: (top, left, height, width) in pixels.
        predictions: the best answers, best first.
        looked_for: the class that the map is about, with its score.
        method: how the map was made.
        map: (h, w) float32, over the region; see `edgecnn.explain.saliency.Evidence.map`.
    """

    frame: Pixels
    region: tuple[int, int, int, int]
    predictions: tuple[Prediction, ...]
    looked_for: Prediction
    method: str
    map: Map

    def picture(self, title: str) -> Pixels:
        """The image, the heat over it, and the answers: RGB, uint8, of one size whatever the frame's is."""
        best = self.predictions[:_BEST]
        lines = [title, "", *(f"{each.label}  {each.score:.3f}" for each in best), ""]
        lines.append(f"where it sees {self.looked_for.label}")
        if self.looked_for not in best:
            lines.append(f"score {self.looked_for.score:.3f}")
        lines.append(f"by {self.method}" if self.found else f"by {self.method}: nowhere")
        return heat.row(self.frame, shown(self.map), self.region, lines)

    @property
    def found(self) -> bool:
        """Whether anything in the image speaks for the class."""
        return bool(self.map.max() > 0)

    def as_json(self) -> dict[str, Any]:
        """What is known of it. ``peak`` is where most speaks for the class, (x, y) as fractions of the frame."""
        place = np.unravel_index(int(self.map.argmax()), self.map.shape)
        y, x = ((int(at) + 0.5) / size for at, size in zip(place, self.map.shape, strict=True))
        (top, left, height, width), (of_height, of_width) = self.region, self.frame.shape[:2]
        peak = [round((left + x * width) / of_width, 4), round((top + y * height) / of_height, 4)]
        best, wanted = self.predictions[0], self.looked_for
        return {
            "label": best.label,
            "score": round(best.score, 6),
            "class": wanted.label,
            "class_score": round(wanted.score, 6),
            "peak": peak if self.found else None,
        }


class Explainer:
    """Explains the answers of one file.

    Args:
        bundle: a classifier.
        method: ``occlusion``, ``rise``, or with ``look`` the name of what that does.
        look: in the place of the methods that ask the file: the map of an image at the network's size, for a class.
        name: of the class to look for; None takes the best of each image.
        threads: see `edgecnn.inference.Classifier`.
        target: see there.

    Raises:
        UsageError: there is no such method, or no such class.
        BundleError: see `edgecnn.inference.Classifier`.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        method: str = DEFAULT,
        look: Look | None = None,
        name: str | None = None,
        threads: int | None = None,
        target: str | None = None,
    ) -> None:
        self._method, self._index = method, None if name is None else class_index(bundle.labels, name)
        self._evidence = Evidence(bundle, threads=threads, target=target)
        self.runtime, self._spec = self._evidence.classifier.runtime, bundle.input
        own = next((each for each in METHODS if each == method), None)
        if look is None and own is None:
            accepted = ", ".join(METHODS)
            raise UsageError("There is no such method.", received=method, accepted=accepted, remedy="choose one")
        self._look: Look = look or (lambda pixels, index, step: self._evidence.map(pixels, index, own or "rise", step))

    def __call__(self, frame: Pixels, on_step: OnStep = lambda done, total: None) -> Explanation:
        """Explain one frame: RGB, uint8, (any height, any width, 3); ``on_step`` is told how much of it is done."""
        assert self._spec is not None, "the classifier has made sure of it"
        pixels = self._spec.apply(frame)
        predictions, scores = self._evidence.answer(pixels)
        index = predictions[0].index if self._index is None else self._index
        label = self._evidence.classifier.labels[index]
        return Explanation(
            frame=frame,
            region=self._spec.region(*frame.shape[:2]),
            predictions=predictions,
            looked_for=Prediction(index=index, label=label, score=float(scores[index])),
            method=self._method,
            map=self._look(pixels, index, on_step),
        )


def class_index(labels: Sequence[str], name: str) -> int:
    """The class of that name.

    Raises:
        UsageError: there is none.
    """
    if name in labels:
        return labels.index(name)
    near = [each for each in labels if name.lower() in each.lower()] or get_close_matches(name, labels)
    raise UsageError(
        "The model has no such class.",
        received=name,
        accepted=", ".join(labels[:12]) + (", ..." if len(labels) > 12 else ""),
        remedy=f"did you mean {' or '.join(near[:4])}?" if near else "`edgecnn show MODEL --json` lists all of them",
    )


def explain_files(explainer: Explainer, paths: Sequence[Path], out: Path, progress: Progress) -> dict[str, Any]:
    """Explain image files: a picture of each, ``NAME.METHOD.png``, and of several a sheet of the first 50.

    Returns:
        ``images``, each with its ``picture``; ``sheet``; and ``left_out``, what is no image.

    Raises:
        DataError: none of them is an image.
        DeviceError, UsageError: the pictures cannot be written.
    """
    explained, left_out, rows = list[dict[str, Any]](), list[dict[str, str]](), list[Pixels]()
    method = "?"
    for number, (path, name) in enumerate(zip(paths, _names(paths), strict=True)):

        def on_step(done: int, total: int, number: int = number) -> None:
            progress.update(number * total + done, len(paths) * total, "explaining")

        try:
            found = explainer(read_image(path)[0], on_step)
        except UnreadableImage as error:
            left_out.append({"path": str(path), "reason": str(error)})
            progress.say(f"left out: {path} ({error})")
            continue
        picture, method = found.picture(path.name), found.method
        drawing.write(drawn := out / f"{name}.{method}.png", picture)
        explained.append({"image": str(path), "picture": str(drawn), **found.as_json()})
        rows += [picture] if len(rows) < _ROWS else []
    _check_any(explained, left_out)
    sheet = out / f"sheet.{method}.png" if len(rows) > 1 else None
    if sheet:
        drawing.write(sheet, np.vstack(rows))
    return {"images": explained, "sheet": sheet and str(sheet), "left_out": left_out}


def _check_any(explained: Sequence[object], left_out: Sequence[dict[str, str]]) -> None:
    if not explained:
        raise DataError(
            "There is no image to explain.",
            received="; ".join(f"{each['path']} ({each['reason']})" for each in left_out),
            accepted="image files, in any format that OpenCV reads",
            remedy="name other files",
        )


def write_filters(bundle: Bundle, out: Path) -> Path:
    """The filters of the first convolution as a picture, ``filters.png``.

    Raises:
        ModelError: the file has none that could be drawn.
    """
    kernels = features.first_filters(bundle.model)
    if kernels.shape[3] not in (1, 3):
        raise ModelError(
            "The filters of the first convolution are no pictures.",
            received=f"{kernels.shape[3]} input channels",
            accepted="1 or 3: a convolution that sees the image itself",
            remedy="--layer NAME draws what a layer makes of an image",
        )
    drawing.write(path := out / "filters.png", heat.filters(kernels))
    return path


def write_features(
    bundle: Bundle, name: str, paths: Sequence[Path], out: Path, *, target: str | None = None
) -> list[Path]:
    """What a layer makes of image files, channel by channel: a picture of each, ``NAME.LAYER.png``.

    Raises:
        UsageError: the file has no such layer; the message lists those it has.
    """
    layer = features.find_layer(bundle.model, name)
    model, (place,) = features.exposing(bundle.model, layer.tensor)
    drawn = []
    with Classifier(replace(bundle, model=model), threads=1, target=target) as classifier:
        for path, stem in zip(paths, _names(paths), strict=True):
            try:
                classifier.invoke(classifier.preprocess(read_image(path)[0]))
            except UnreadableImage:  # `explain_files` says so
                continue
            drawn.append(out / f"{stem}.{name.replace('/', '_')}.png")
            drawing.write(drawn[-1], heat.features(classifier.output(place)[0]))
    return drawn


def _names(paths: Sequence[Path]) -> list[str]:
    """Names for pictures, of which no two are one: there may be files of one name in several folders."""
    stems = [path.stem for path in paths]
    return [stem + (f"-{before + 1}" if (before := stems[:at].count(stem)) else "") for at, stem in enumerate(stems)]
