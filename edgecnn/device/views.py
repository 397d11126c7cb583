"""What shows the answers: one line per view in `VIEWS`."""

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from edgecnn.device.collect import Collection
from edgecnn.device.frames import Answer
from edgecnn.errors import UsageError


@dataclass
class Controls:
    """What a viewer may change while the loop runs; any thread may set them, the loop reads them before each answer.

    Attributes:
        threshold: the score under which a frame is unknown, 0 to 1.
        paused: answer nothing for now.
        overlay: say where the network looks, which only a file with class maps can.
        stop: end the run.
    """

    threshold: float = 0.0
    paused: bool = False
    overlay: bool = False
    stop: bool = False


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a view is told of a run before its first answer.

    Attributes:
        camera: its name.
        runtime: the interpreter and its version.
        threads: of the interpreter.
        labels: the names of all classes.
        controls: see there.
        class_maps: whether the file says where the network looks.
        collection: where frames may be saved as photos of a class; None where nobody asked for that.
    """

    camera: str
    runtime: str
    threads: int
    labels: tuple[str, ...]
    controls: Controls
    class_maps: bool = False
    collection: Collection | None = None


class View(Protocol):
    """Shows answers, inside a ``with``. All its methods are called by one thread, the one that entered it."""

    def begin(self, run: Run) -> None:
        """The loop starts."""

    def show(self, answer: Answer) -> None:
        """Show one answer. Of a live camera it is the latest one, and the next is computed meanwhile."""

    def idle(self, notice: str | None) -> None:
        """There is no new answer; called some times a second then.

        Args:
            notice: why, in a sentence for people; None where it is not known.
        """

    def __enter__(self) -> "View":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave the screen as it was found, for whatever reason the loop ended."""
        return None


class NoView(View):
    """Shows nothing."""

    def begin(self, run: Run) -> None:
        """Nothing to prepare."""

    def show(self, answer: Answer) -> None:
        """Nothing to show."""

    def idle(self, notice: str | None) -> None:
        """Nothing to say."""


def _terminal() -> View:
    from edgecnn.device.terminal import TerminalView  # only this view pays for importing rich

    return TerminalView()


def _window() -> View:
    from edgecnn.device.window import WindowView

    return WindowView()


def _web(listen: str | None = None) -> View:
    from edgecnn.device.web.view import WebView  # only this view pays for importing a server

    return WebView(listen)


VIEWS: dict[str, Callable[[], View]] = {
    "web": _web,
    "window": _window,
    "terminal": _terminal,
    "none": NoView,
}


def open_view(name: str, *, listen: str | None = None) -> View:
    """The view that a user names; its ``with`` begins what it needs.

    Args:
        name: one of `VIEWS`.
        listen: ``HOST[:PORT]`` of the view ``web``.

    Raises:
        UsageError: there is no such view, or no such address, or the view does not listen.
    """
    if name not in VIEWS:
        raise UsageError(
            "There is no such view.", received=name, accepted=", ".join(VIEWS), remedy="choose one of these"
        )
    if listen is None:
        return VIEWS[name]()
    if name != "web":
        raise UsageError(
            "Only the view web listens.",
            received=f"--view {name} --listen {listen}",
            accepted="--listen with --view web",
            remedy="choose --view web, or leave out --listen",
        )
    return _web(listen)
