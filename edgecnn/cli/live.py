"""A camera, here and on other computers: demo, service, deploy, device."""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from edgecnn.cli import arguments
from edgecnn.cli.group import main, told
from edgecnn.cli.saying import say, say_unknown
from edgecnn.errors import UsageError


class _Demo(click.Command):
    """Keeps the options as they are typed, for another computer's command line."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See click."""
        ctx.meta["edgecnn.typed"] = self.make_parser(ctx).parse_args(list(args))[0]
        return super().parse_args(ctx, args)


@main.command(cls=_Demo)
@arguments.model
@click.option(
    "--camera",
    metavar="SOURCE",
    shell_complete=arguments.complete_cameras,
    help="0, csi, rtsp://..., http://..., a file, synthetic.",
)
@click.option("--size", metavar="WxH", callback=arguments.size, help="Asked of the camera, such as 640x480.")
@click.option("--rate", type=float, metavar="FPS", help="Asked of the camera; of a file: live, so fast.")
@click.option("--realtime", is_flag=True, help="A video is live and plays at its own pace.")
@click.option("--rotate", type=click.Choice(["0", "90", "180", "270"]), default="0", help="Turn it clockwise.")
@click.option("--mirror", is_flag=True, help="Swap left and right.")
@click.option("--roi", metavar="X,Y,W,H", callback=arguments.region, help="The part to look at: pixels or fractions.")
@click.option(
    "--view", metavar="NAME", shell_complete=arguments.complete_views, help="terminal, web, window or none; see above."
)
@click.option("--listen", metavar="HOST[:PORT]", help="Where the view web is served (127.0.0.1:8042).")
@click.option("--frames", type=click.IntRange(1), help="Stop after so many answers.")
@click.option("--pace", type=click.FloatRange(0, min_open=True), metavar="FPS", help="At most so many a second.")
@click.option(
    "--threshold", type=click.FloatRange(0, 1), metavar="SCORE", help="Under it, a frame is unknown (the file's)."
)
@click.option("--smooth", type=click.FloatRange(0), metavar="SECONDS", help="Smooth over time (0.1); 0: do not.")
@click.option("--overlay", is_flag=True, help="Show where the network looks (class maps).")
@click.option("--events", metavar="FILE", help="One JSON line an answer; - for stdout.")
@click.option(
    "--record", type=click.Path(path_type=Path), metavar="FILE.mp4", help="A video with the answers drawn in."
)
@click.option(
    "--collect",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where the page saves frames as photos of a class.",
)
@click.option("--collect-below", type=click.FloatRange(0, 1), metavar="SCORE", help="Save unsure frames there, too.")
@click.option(
    "--collect-limit",
    metavar="1GB",
    callback=arguments.number(("MB", 1e6), ("GB", 1e9)),
    help="Disk space for all of them.",
)
@arguments.one_thread_count
@arguments.target
@arguments.on
@arguments.json
def demo(
    model: Path,
    size: tuple[int, int] | None,
    rate: float | None,
    realtime: bool,
    rotate: str,
    mirror: bool,
    roi: Any,
    view: str | None,
    smooth: float | None,
    collect_limit: float | None,
    host: str | None,
    as_json: bool,
    **others: Any,
) -> None:
    """Recognise what a camera sees, live. Ctrl-C ends it.

    Without --camera: the Pi's own camera, else the first USB camera. SOURCE also
    is a path in /dev, csi:1, a folder of images or a FIFO.

    The view is none with --json and with --events -. Else it is the terminal where
    stderr is one, and elsewhere a page for browsers (web), or none with --frames or
    --record. Of images each has a line instead. --listen means web.

    The page and the window stay when a file has ended, until Ctrl-C or the window's
    key q; not with --frames, --record, --json or --events -, as in a script.
    """
    from edgecnn import Bundle, console
    from edgecnn.device import SMOOTHING_S, CameraOptions, Demo, are_images, play

    if others["events"] == "-" and as_json:
        raise UsageError(
            "--events - and --json both want stdout.",
            received="--events - --json",
            accepted="one of the two on stdout",
            remedy="write the events to a file, or leave out --json",
        )
    to_stdout = as_json or others["events"] == "-"
    scripted = to_stdout or others["frames"] is not None or others["record"] is not None
    if host:
        from edgecnn import remote

        typed = {("json" if name == "as_json" else name): value for name, value in _typed().items()}
        options = {name: value for name, value in typed.items() if name not in ("model", "host")} | told()
        # Its images are not here to be looked at: whether there is a page there is a guess in favour of one.
        page = view or _default_view(others["listen"], to_stdout=to_stdout, scripted=scripted, by_file=False)
        with console.progress() as progress, _ended_by_signals(new_line=False):  # what runs there says that line
            code = remote.demo(host, model, options, progress=progress, page=page == "web")
        raise click.exceptions.Exit(code)
    by_file = view is None and not scripted and are_images(others["camera"])
    if view is None:
        view = _default_view(others["listen"], to_stdout=to_stdout, scripted=scripted, by_file=by_file)
    rotation: Any = int(rotate)
    asked = Demo(
        options=CameraOptions(size=size, rate=rate, realtime=realtime, rotation=rotation, mirror=mirror, region=roi),
        view=view,
        stay=view in ("web", "window") and not scripted,
        by_file=by_file,
        smoothing_s=SMOOTHING_S if smooth is None else smooth,
        collect_limit_bytes=None if collect_limit is None else int(collect_limit),
        **others,
    )
    bundle = Bundle.read(model)
    say_unknown(bundle.unknown)
    with _ended_by_signals(new_line=asked.view != "terminal" and _stderr_is_terminal()):
        summary = play(bundle, asked, say).as_json()
    if asked.events != "-":
        console.to_stdout(summary, console.demo_summary(summary), as_json=as_json)


def _typed() -> dict[str, Any]:
    typed: dict[str, Any] = click.get_current_context().meta["edgecnn.typed"]
    return typed


def _default_view(listen: str | None, *, to_stdout: bool, scripted: bool, by_file: bool) -> str:
    if listen is not None:
        return "web"
    if to_stdout or by_file:
        return "none"
    if _stderr_is_terminal():
        return "terminal"
    return "none" if scripted else "web"


def _stderr_is_terminal() -> bool:
    return sys.stderr.isatty()


@contextmanager
def _ended_by_signals(*, new_line: bool) -> Iterator[None]:
    """What systemd and kill send ends a demo as Ctrl-C does, so that what was recorded is whole.

    A terminal writes ^C where its cursor is: with ``new_line`` what is said next does not stand beside it.
    """

    def interrupt(number: int, frame: Any) -> None:
        if new_line:
            os.write(2, b"\n")  # below the stream, which the signal may have found at work
        raise KeyboardInterrupt

    before = {signal.SIGTERM: signal.signal(signal.SIGTERM, signal.default_int_handler)}
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where it is ignored, in the background
        before[signal.SIGINT] = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@main.command(context_settings={"ignore_unknown_options": True})
@arguments.model
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[DEMO OPTIONS]")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="The unit to write (edgecnn.service).")
@click.option("--user", is_flag=True, help="A service of yours, for systemctl --user.")
def service(model: Path, options: tuple[str, ...], out: Path | None, user: bool) -> None:
    """Write a systemd unit that runs the demo as a service.

    All other options are those of `edgecnn demo`. The service has a user of its
    own, may write to /var/lib/edgecnn alone, and is started again whenever it ends
    or hangs. With --user it runs as you, and needs no root.
    """
    from edgecnn import Bundle
    from edgecnn.device.service import unit, user_unit
    from edgecnn.files import write_atomically

    typed = _service_options(model, options)
    Bundle.read(model)
    out = out or Path("edgecnn.service")
    camera, view = typed["camera"], typed["view"]
    if user:
        made = user_unit(model, options, state=Path.cwd(), file=out.name, camera=camera, view=view)
    else:
        made = unit(model, options, file=out.name, camera=camera, view=view)
    write_atomically(out, made.text.encode(), mode=made.mode)
    say(f"The unit is {out}; its first lines say how to install it.")
    if made.secret:
        say("A password is in it: install it with -m 600. While it runs, other users see it in `ps`.")


def _service_options(model: Path, options: Sequence[str]) -> dict[str, Any]:
    """What a demo would make of them; wrong ones are said now."""
    from edgecnn.device.service import check_view

    typed = demo.make_context("edgecnn demo", [str(model), *options]).params
    if typed["host"]:
        raise UsageError(
            "A service is one of the computer that it runs on.",
            received=f"--on {typed['host']}",
            accepted="the options of a demo there",
            remedy="edgecnn deploy installs one on another computer",
        )
    check_view(typed["view"])
    return typed


@main.command(context_settings={"ignore_unknown_options": True})
@arguments.model
@click.argument("host", metavar="USER@HOST")
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[DEMO OPTIONS]")
def deploy(model: Path, host: str, options: tuple[str, ...]) -> None:
    """Install a bundle on another computer, as a service.

    All other options are those of `edgecnn demo`, which it runs from its start on,
    for the user that ssh logs in as. What was deployed before is kept beside it,
    and runs again if the new one does not start.
    """
    from edgecnn import console, remote
    from edgecnn.device.service import has_password

    typed = _service_options(model, options)
    with console.progress() as progress:
        done = remote.deploy(host, model, options, progress=progress)
    say(f"{model.name} runs on {host}, from {done['release']}.")
    if done["previous"]:
        say(f"What ran before is kept in {done['previous']}.")
    if has_password(typed["camera"]):
        say("A password is in its unit, which others there cannot read. While it runs, they see it in `ps`.")
    if not done["at_boot"]:
        say(f"It ends with the user's last login; once, there: sudo loginctl enable-linger {'$USER'}")


@main.group()
def device() -> None:
    """Other computers, such as a Raspberry Pi, that commands run on with --on.

    They are reached with the system's ssh and your own ssh config, without a
    question: with a key, and as a known host. All that is put there is in one
    folder, ~/.edgecnn.
    """


@device.command()
@click.argument("host", metavar="USER@HOST")
def forget(host: str) -> None:
    """Remove all that edgecnn has put on that computer, a deployed service too."""
    from edgecnn import remote

    say(f"{'Removed' if remote.forget(host) else 'There was no'} ~/.edgecnn on {host}.")
