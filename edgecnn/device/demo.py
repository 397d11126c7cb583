"""A demo from its options to its summary: camera, classifier, view and consumers, opened and closed together."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from edgecnn.bundle import Bundle
from edgecnn.device.cameras import open_camera
from edgecnn.device.collect import LIMIT_BYTES, Collection, Unsure
from edgecnn.device.events import events_to
from edgecnn.device.frames import Answer, Camera
from edgecnn.device.loop import run
from edgecnn.device.options import CameraOptions
from edgecnn.device.record import recording_to
from edgecnn.device.steady import SMOOTHING_S
from edgecnn.device.summary import Summary
from edgecnn.device.views import open_view
from edgecnn.device.watchdog import Watched
from edgecnn.errors import UsageError
from edgecnn.inference import Classifier

SEEN_BY_NOBODY = ("terminal", "none")
"""Views that do not show the picture."""
_ENDS_BY = {"web": "Ctrl-C", "window": "the key q", "terminal": "Ctrl-C", "none": "Ctrl-C"}


@dataclass(frozen=True, kw_only=True)
class Demo:
    """What a user asks of a demo.

    Attributes:
        camera: see `open_camera`; None chooses one.
        options: of the camera.
        view: a name in `edgecnn.device.VIEWS`.
        listen: where the view ``web`` is served.
        frames, pace: see `run`.
        stay: show the last answer after the camera's end, until Ctrl-C or the view ends it.
        threshold: of the score; None takes the file's own.
        smoothing_s: seconds.
        overlay: show where the network looks.
        by_file: say the answer to each image that has a file of its own.
        events: see `events_to`.
        record: a video to write.
        collect: a folder for frames as photos of a class.
        collect_below: the score below which frames are kept there by themselves, in no class.
        collect_limit_bytes: of all files in it.
        threads, target: see `Classifier`.
    """

    camera: str | None = None
    options: CameraOptions = field(default_factory=CameraOptions)
    view: str = "none"
    listen: str | None = None
    frames: int | None = None
    pace: float | None = None
    stay: bool = False
    threshold: float | None = None
    smoothing_s: float = SMOOTHING_S
    overlay: bool = False
    by_file: bool = False
    events: str | None = None
    record: Path | None = None
    collect: Path | None = None
    collect_below: float | None = None
    collect_limit_bytes: int | None = None
    threads: int | None = None
    target: str | None = None


def play(bundle: Bundle, demo: Demo, say: Callable[[str], None]) -> Summary:
    """Run a demo to its end.

    Args:
        bundle: what to run.
        demo: how.
        say: is told what people should know, line by line: the camera that was chosen, what was collected and where.

    Raises:
        UsageError, DeviceError, BundleError: see `edgecnn.errors`; what is wrong with the options is said before
            anything is opened.
    """
    _check_apart(demo)
    screen = open_view(demo.view, listen=demo.listen)
    collection, unsure = _collecting(demo)
    threshold = _threshold(bundle, demo, say)
    with ExitStack() as stack:
        classifier = stack.enter_context(Classifier(bundle, threads=demo.threads, target=demo.target))
        _check_overlay(demo, classifier)
        alone = demo.view in SEEN_BY_NOBODY and not (demo.record or demo.collect)
        spec = bundle.input if alone else None
        camera = stack.enter_context(open_camera(demo.camera, demo.options, model=spec, say=say))
        summary = run(
            camera,
            classifier,
            view=stack.enter_context(Watched(screen)),
            frames=demo.frames,
            pace=demo.pace,
            threshold=threshold,
            smoothing_s=demo.smoothing_s,
            overlay=demo.overlay,
            consumers=[*_consumers(demo, camera, stack, say), *([unsure] if unsure else [])],
            collection=collection,
            on_end=(lambda: say(f"{camera.name} has ended; {_ENDS_BY[demo.view]} ends the demo."))
            if demo.stay
            else None,
        )
    if demo.record and demo.record.exists():
        say(f"The recording is {demo.record}.")
    if demo.events not in (None, "-"):
        say(f"The events are in {demo.events}.")
    if unsure:
        frames = f"{unsure.kept} unsure frame{' is' if unsure.kept == 1 else 's are'}"
        say(f"{frames} in {demo.collect}, for you to sort into folders of classes.")
        if unsure.ended:
            say(f"{unsure.ended.message} {unsure.ended.remedy}")
    return summary


def _check_apart(demo: Demo) -> None:
    """What is written must not be what is read: it would be gone."""
    source = Path(demo.camera or "")
    for option, path in (("--record", demo.record), ("--events", demo.events)):
        if path and demo.camera and Path(path).is_file() and source.exists() and source.samefile(path):
            raise UsageError(
                f"{option} would write over the camera's own file.",
                received=f"--camera {demo.camera} {option} {path}",
                accepted="another file",
                remedy=f"choose another name with {option}",
            )


def _threshold(bundle: Bundle, demo: Demo, say: Callable[[str], None]) -> float:
    """The one that is in force; where nobody chose any, what follows from that is said."""
    if demo.threshold is not None:
        return demo.threshold
    if not bundle.threshold:
        say("This file has no threshold: every frame gets a name, however low its score. To do: --threshold 0.3")
    return bundle.threshold or 0.0


def _collecting(demo: Demo) -> tuple[Collection | None, Unsure | None]:
    if demo.collect is None:
        if demo.collect_below is not None or demo.collect_limit_bytes is not None:
            raise UsageError(
                "--collect-below and --collect-limit say how to collect, and not where.",
                accepted="--collect DIR beside them",
                remedy="add --collect photos",
            )
        return None, None
    if demo.view != "web" and demo.collect_below is None:
        raise UsageError(
            "Nothing would be collected: no page to keep frames with, and no score below which they are kept.",
            received=f"--collect {demo.collect} with the view {demo.view}",
            accepted="the page, or --collect-below SCORE",
            remedy="add --view web, or --collect-below 0.5",
        )
    collection = Collection(demo.collect, limit_bytes=demo.collect_limit_bytes or LIMIT_BYTES)
    return collection, None if demo.collect_below is None else Unsure(collection, below=demo.collect_below)


def _check_overlay(demo: Demo, classifier: Classifier) -> None:
    if demo.overlay and classifier.map_shape is None:
        raise UsageError(
            "This file does not say where the network looks.",
            received="--overlay",
            accepted="a file of a recipe with Convert(class_maps=True)",
            remedy="build it again with class_maps=True, or leave out --overlay",
        )


def _consumers(
    demo: Demo, camera: Camera, stack: ExitStack, say: Callable[[str], None]
) -> list[Callable[[Answer], None]]:
    def say_file(answer: Answer) -> None:
        best = ", ".join(f"{each.label} {each.score:.2f}" for each in answer.predictions[:3])
        say(f"{answer.frame.source}: {best}{' (unknown)' if answer.shown is None else ''}")

    consumers: list[Callable[[Answer], None]] = [say_file] if demo.by_file else []
    if demo.events:
        consumers.append(stack.enter_context(events_to(demo.events)))
    if demo.record:
        consumers.append(stack.enter_context(recording_to(demo.record, live=camera.live)))
    return consumers
