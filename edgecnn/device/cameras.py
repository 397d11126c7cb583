"""Every source that ``--camera`` knows, the rule that finds the one that is meant, the choice where none is named."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2

from edgecnn.device import picamera, usb
from edgecnn.device.frames import Camera
from edgecnn.device.options import NOTHING_ASKED, CameraOptions, as_typed
from edgecnn.device.pictures import ImageFolder, Synthetic
from edgecnn.device.reconnect import Reconnecting
from edgecnn.device.streams import SCHEMES, Fifo, open_stream, public
from edgecnn.device.video import VideoFile
from edgecnn.device.wrapped import Adjusted, Paced
from edgecnn.errors import DeviceError, UsageError
from edgecnn.preprocess import InputSpec


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of source: a line of `KINDS`.

    Attributes:
        accepted: what a user writes for it.
        means: whether a user means it.
        open: opens it: source, options, and what the model takes where nobody else needs the frames.
        takes: those of size, rate and realtime that it can give.
    """

    accepted: str
    means: Callable[[str], bool]
    open: Callable[[str, CameraOptions, InputSpec | None], Camera]
    takes: frozenset[str] = frozenset()


def open_camera(
    source: str | None = None,
    options: CameraOptions = NOTHING_ASKED,
    *,
    model: InputSpec | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Camera:
    """The camera that a user means, open, and already delivering where it is live.

    Args:
        source: what one of `KINDS` accepts; None for the Pi's own camera where there is one, else the first V4L2 device
            that captures.
        options: what is asked of it.
        model: what the model takes, where nobody but the model looks at the frames: a Pi's own camera then may give
            frames of just that size.
        say: is told which camera was chosen, and a size that differs from the one that was asked for.

    Raises:
        DeviceError: there is no such camera or file, or it cannot be read.
        UsageError: the options are wrong, or the source cannot give what they ask for.
    """
    if source is None:
        source = find_camera()
        say(f"The camera is {source}.")
    kind = _kind(source)
    if kind is None:
        raise DeviceError(
            f"There is no camera, file or folder {public(source) or 'without a name'}.",
            received=public(source),
            accepted="; ".join(kind.accepted for kind in KINDS),
            remedy="check the path, see `v4l2-ctl --list-devices`, or try --camera synthetic",
        )
    _check(options, kind)
    camera = kind.open(source, options, model)
    if isinstance(camera, Reconnecting) and options.size not in (None, camera.size):
        say(f"{camera.name} was asked for {as_typed(options.size)} and gives {as_typed(camera.size)}.")
    return Adjusted(camera, options) if options.changes_pictures else camera


def are_images(source: str | None) -> bool:
    """Whether a user means images, which have nothing to do with each other, and not a camera or a video."""
    kind = None if source is None else _kind(source)
    return kind is not None and kind.open is _images


def _kind(source: str) -> Kind | None:
    """What a user means; nothing by no name, which would be a path of the current folder."""
    return next((kind for kind in KINDS if source and kind.means(source)), None)


def find_camera() -> str:
    """What ``--camera`` would name: the Pi's own camera where picamera2 finds one, else the first V4L2 device.

    Raises:
        DeviceError: there is neither.
    """
    try:
        if picamera.cameras():
            return "csi"
        csi = "picamera2 finds no camera"
    except DeviceError:
        csi = "no picamera2"
    if found := usb.devices():
        return found[0]
    raise DeviceError(
        "There is no camera here.",
        received=f"{csi}; no /dev/video* that captures",
        accepted="; ".join(kind.accepted for kind in KINDS),
        remedy="plug one in, name a stream, a video or a folder, or try --camera synthetic",
    )


def _check(options: CameraOptions, kind: Kind) -> None:
    """Every problem of the options at once."""
    wrong, unfit = options.problems(), sorted(f"--{name}" for name in options.asked().keys() - kind.takes)
    if unfit:
        raise UsageError(
            f"This cannot be asked of {kind.accepted}: {', '.join(unfit)}.",
            received="; ".join([" ".join(unfit), *wrong]),
            accepted=" or ".join(f"--{name}" for name in sorted(kind.takes)) or "none of --size, --rate, --realtime",
            remedy=f"leave out {' and '.join(unfit)}{', and mend the rest' if wrong else ''}",
        )
    if wrong:
        raise UsageError(
            "An option of the camera has a value that it cannot have.",
            received="; ".join(wrong),
            accepted="what these sentences say",
            remedy="mend the value, or leave the option out",
        )


def _usb(source: str, options: CameraOptions, _: InputSpec | None) -> Camera:
    device = int(source) if source.isdecimal() else source
    return Reconnecting(usb.device_path(device), lambda: usb.UsbCamera(device, options), options.stall_s)


def _csi(source: str, options: CameraOptions, model: InputSpec | None) -> Camera:
    number = int(source.partition(":")[2] or 0)
    return Reconnecting(f"csi:{number}", lambda: picamera.PiCamera(number, options, model), options.stall_s)


def _stream(source: str, options: CameraOptions, _: InputSpec | None) -> Camera:
    return open_stream(source, options)


def _fifo(source: str, options: CameraOptions, _: InputSpec | None) -> Camera:
    return Reconnecting(source, lambda: Fifo(source, options), options.stall_s)


def _synthetic(_: str, options: CameraOptions, __: InputSpec | None) -> Camera:
    return _at_rate(Synthetic(options.size or (480, 640)), options.rate)


def _images(source: str, options: CameraOptions, _: InputSpec | None) -> Camera:
    return _at_rate(ImageFolder(Path(source)), options.rate)


def _video(source: str, options: CameraOptions, _: InputSpec | None) -> Camera:
    video = VideoFile(Path(source))
    return _at_rate(video, video.rate if options.realtime else options.rate)


def _at_rate(camera: Camera, rate: float | None) -> Camera:
    return camera if rate is None else Paced(camera, rate)


# The first that is meant is taken. Of a file, what is in it decides, not what it is called.
KINDS: tuple[Kind, ...] = (
    Kind(
        accepted="synthetic",
        means=lambda source: source == "synthetic",
        open=_synthetic,
        takes=frozenset({"size", "rate"}),
    ),
    Kind(
        accepted="csi or csi:1, a Pi's own camera",
        means=lambda source: source == "csi" or (source.startswith("csi:") and source[4:].isdecimal()),
        open=_csi,
        takes=frozenset({"size", "rate"}),
    ),
    Kind(
        accepted="0 or /dev/video0, a USB camera",
        means=lambda source: source.isdecimal() or source.startswith("/dev/"),
        open=_usb,
        takes=frozenset({"size", "rate"}),
    ),
    Kind(accepted="rtsp://... or http://...", means=lambda source: source.startswith(SCHEMES), open=_stream),
    Kind(accepted="a FIFO of video", means=lambda source: Path(source).is_fifo(), open=_fifo),
    Kind(
        accepted="an image or a folder of images",
        means=lambda source: Path(source).is_dir() or (Path(source).is_file() and cv2.haveImageReader(source)),
        open=_images,
        takes=frozenset({"rate"}),
    ),
    Kind(
        accepted="a video",
        means=lambda source: Path(source).is_file(),
        open=_video,
        takes=frozenset({"rate", "realtime"}),
    ),
)
