"""Every command of ``edgecnn``: parse, one call, print. Nothing heavy is imported before a command needs it."""

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from edgecnn import __version__
from edgecnn.errors import DataError, EdgecnnError, GateError, MissingExtraError, UsageError, error_document


def _verbosity(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        from edgecnn.console import Verbosity

        Verbosity.choose(**{str(parameter.name): True})
        context.call_on_close(Verbosity.choose)


_VERBOSITY = {
    "quiet": ("-q", "Errors and results, and nothing else."),
    "verbose": ("-v", "Also versions, stage keys, and what the converter prints."),
}


def _verbosity_options() -> list[click.Parameter]:
    return [
        click.Option([short, f"--{name}"], is_flag=True, expose_value=False, callback=_verbosity, help=said)
        for name, (short, said) in _VERBOSITY.items()
    ]


class _Commands(click.Group):
    """Click's group, with edgecnn's exit codes and errors; `--quiet` and `--verbose` go before or after a command."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.params += _verbosity_options()

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """See Click."""
        if cmd.name not in ("service", "completion"):
            cmd.params += _verbosity_options()
        super().add_command(cmd, name)

    def main(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> Any:
        """Run a command and exit with its code."""
        arguments = list(sys.argv[1:] if args is None else args)
        try:
            code = super().main(arguments, *rest, **{**options, "standalone_mode": False})
        except click.ClickException as error:
            if "--json" in arguments:
                _print_json(error_document("usage", error.format_message(), None, None, "see --help"))
            error.show()
            code = error.exit_code
        except EdgecnnError as error:
            code = _fail(error, "--json" in arguments)
        except (KeyboardInterrupt, click.Abort):
            if "--json" in arguments:
                _print_json(error_document("interrupted", "Interrupted.", None, None, "run the command again"))
            resumes = next((word for word in arguments if not word.startswith("-")), None) == "build"
            click.echo(f"Interrupted.{' The same command goes on where it stopped.' if resumes else ''}", err=True)
            code = 130
        except Exception as error:
            traceback.print_exc()
            remedy = "please report it with the lines above"
            if "--json" in arguments:
                _print_json(error_document("bug", f"{type(error).__name__}: {error}", None, None, remedy))
            click.echo(f"This is a bug of edgecnn's: {remedy}.", err=True)
            code = 1
        sys.exit(code or 0)


def _fail(error: EdgecnnError, as_json: bool) -> int:
    from edgecnn import console

    if as_json:
        _print_json(error.as_json())
    console.say_error(error)
    return error.exit_code


def _print_json(document: dict[str, Any]) -> None:
    import json

    with suppress(OSError):  # where stdout is what failed, stderr says so
        click.echo(json.dumps(document))


def _threads(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    if value is None:
        return None
    counts = value.split(",")
    if not all(count.strip().isdecimal() and 1 <= int(count) <= 64 for count in counts):
        raise click.BadParameter(f"{value!r} is not a list of numbers from 1 to 64, such as 1,2,4")
    return tuple(int(count) for count in counts)


def _share(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    with suppress(ValueError):
        share = float(value.removesuffix("%")) / (100 if value.endswith("%") else 1)
        if 0 <= share < 1:
            return share
    raise click.BadParameter(f"{value!r} is not a share of the images from 0 to under 1, such as 1% or 0.01")


def _size(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    width, _, height = value.partition("x")
    if width.isdecimal() and height.isdecimal():
        return int(height), int(width)
    raise click.BadParameter(f"{value!r} is not a width and a height, such as 640x480")


def _region(context: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    if value is None:
        return None
    from edgecnn.device import Region

    with suppress(ValueError, TypeError):
        return Region(*map(float, value.split(",")))
    raise click.BadParameter(f"{value!r} is not LEFT,TOP,WIDTH,HEIGHT, such as 0.25,0.25,0.5,0.5 or 100,0,320,320")


def _number(*units: tuple[str, float]) -> Any:
    """A callback for a positive number with a unit: ``100kB`` and ``100000`` are one."""

    def parse(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
        if value is None:
            return None
        for unit, factor in (*units, ("", 1.0)):
            with suppress(ValueError):
                number = float(value.removesuffix(unit)) * factor if value.endswith(unit) else 0.0
                if 0 < number < float("inf"):
                    return number
        raise click.BadParameter(
            f"{value!r} is not a positive number, with or without {' or '.join(u for u, _ in units)}"
        )

    return parse


def _complete_recipes(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[Any]:
    """Names and the recipe files that are here; any path where nothing of that begins like this."""
    from click.shell_completion import CompletionItem

    names = [path.name for path in sorted(Path().glob("*.py"))]
    with suppress(ModuleNotFoundError):  # the device side alone is installed
        from edgecnn.build import recipes

        names = [*recipes.names(), *names]
    found = [CompletionItem(name) for name in names if name.startswith(incomplete)]
    return found or [CompletionItem(incomplete, type="file")]


def _complete_targets(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    from edgecnn.targets import TARGETS

    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in TARGETS if name.startswith(last) and TARGETS[name].installed()]


def _complete_views(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    from edgecnn.device.views import VIEWS

    return [name for name in VIEWS if name.startswith(incomplete)]


def _complete_cameras(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[Any]:
    from click.shell_completion import CompletionItem

    paths = [str(path) for path in sorted(Path("/dev").glob("video*"))]
    names = [name for name in ("csi", "synthetic", *paths) if incomplete and name.startswith(incomplete)]
    return [CompletionItem(name) for name in names] or [CompletionItem(incomplete, type="file")]


_model = click.argument("model", type=click.Path(path_type=Path))
_json = click.option("--json", "as_json", is_flag=True, help="Put one JSON document on stdout.")
_target = click.option(
    "--target", metavar="NAME", shell_complete=_complete_targets, help="Runtime: litert, tflite-runtime, ..."
)
_on = click.option("--on", "host", metavar="USER@HOST", help="Run on that computer, over ssh; see `device`.")
_one_thread_count = click.option("--threads", type=click.IntRange(1, 64), help="Threads of the interpreter.")


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.version_option(__version__, prog_name="edgecnn")
def main() -> None:
    """From a folder of photos to a proved int8 .tflite, running live."""


@main.command()
@click.argument("recipe", required=False, shell_complete=_complete_recipes)
@click.option("--data", type=click.Path(path_type=Path), metavar="PATH", help="A folder a class; .npz, IDX, TFRecord.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where to put the result (artifacts/NAME).")
@click.option("--quick", is_flag=True, help="A build of seconds, to see that all works.")
@click.option(
    "--model", type=click.Path(path_type=Path), metavar="FILE", help="Your trained Keras 2 file: no training."
)
@click.option("--input-range", metavar="RANGE", help="What it was trained on: 0..255, 0..1 or -1..1.")
@click.option("--max-drop", metavar="1%", callback=_share, help="Accuracy that may be lost.")
@click.option("--max-size", metavar="100kB", callback=_number(("kB", 1e3), ("MB", 1e6)), help="Bytes of the file.")
@click.option("--max-p50", metavar="5ms", callback=_number(("ms", 1.0)), help="Median latency, here or --on another.")
@click.option(
    "--unknown", type=click.Path(path_type=Path), metavar="DIR", help="Any images of none of the classes, to refuse."
)
@click.option("--tensorboard", type=click.Path(path_type=Path), metavar="DIR", help="Write the curves of training.")
@click.option("--on", "host", metavar="USER@HOST", help="Measure latencies on that computer, over ssh; see `device`.")
@_json
def build(
    recipe: str | None,
    data: Path | None,
    out: Path | None,
    quick: bool,
    model: Path | None,
    input_range: str | None,
    max_drop: float | None,
    max_size: float | None,
    max_p50: float | None,
    unknown: Path | None,
    tensorboard: Path | None,
    host: str | None,
    as_json: bool,
) -> None:
    """Train, compress, convert and prove a model.

    RECIPE is a name in pipelines/ or the path of a recipe file; without one,
    `shapes` is built, or with --data `photos`, or `transfer` where the photos are
    large and few and the extra `pretrained` is there. A budget (--max-...) is a
    promise, and what channels are removed for.
    """
    try:
        from edgecnn.build import choice, own, pipeline, recipes
        from edgecnn.build.budgets import Budgets
    except ModuleNotFoundError as error:
        if error.name in ("filelock", "platformdirs", "jinja2", "markupsafe"):
            raise MissingExtraError(error.name, "build") from error
        raise
    from edgecnn import console, remote

    _check_own(model, data, input_range, own.RANGES)
    if data and not (recipe or model):
        choice_made = choice.chosen(data, small=max_size is not None or max_p50 is not None)
        recipe = choice_made.recipe
        if choice_made.why:
            _say(choice_made.why)
    chosen = recipes.find(recipe, data=data, quick=quick, out_of_set=unknown)
    budgets = Budgets(drop=max_drop, size_bytes=None if max_size is None else int(max_size), p50_ms=max_p50)
    with console.progress() as progress:
        if model:
            pipeline.check_installed()
            chosen = own.adopted(chosen, model, input_range, progress)
        chosen = budgets.on(chosen)
        board = remote.RemoteBoard(host, progress) if host else None
        out = out or Path("artifacts") / chosen.name
        report = pipeline.run(chosen, out=out, progress=progress, tensorboard=tensorboard, board=board)
    console.to_stdout(report, console.build_summary(report), as_json=as_json)
    if quick:
        _say("Quick: it proves that everything works; the network has learned next to nothing.")
    missed = [gate for gate in report["gates"] if not gate["passed"]]
    if missed:
        refusal = GateError(
            f"Missed: {', '.join(gate['name'] for gate in missed)}. The model and its report are kept.",
            received=", ".join(f"{gate['name']} {gate['value']}" for gate in missed),
            accepted=", ".join(f"{gate['name']} {gate['limit']}" for gate in missed),
            remedy="a looser budget, more images or epochs; or another network, sparsity or gate in the recipe",
        )
        console.say_error(refusal)
        raise click.exceptions.Exit(refusal.exit_code)


def _check_own(model: Path | None, data: Path | None, input_range: str | None, ranges: Iterable[str]) -> None:
    if input_range not in (None, *ranges):
        raise UsageError(
            "There is no such input range.",
            received=f"--input-range {input_range}",
            accepted=", ".join(ranges),
            remedy="say what the images were in training, or leave it out: then all are tried",
        )
    if (model or input_range) and (model is None or data is None):
        raise UsageError(
            "--model goes with --data, and --input-range with --model.",
            received=" ".join(f"{n} {v}" for n, v in (("--model", model), ("--input-range", input_range)) if v),
            accepted=f"--model FILE --data DIR [--input-range {'|'.join(ranges)}]",
            remedy="the photos are needed to calibrate and to measure, those of training are best",
        )


@main.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--picture", type=click.Path(path_type=Path), metavar="FILE.png", help="Draw some images of each class.")
@_json
def data(folder: Path, picture: Path | None, as_json: bool) -> None:
    """Say what a folder of photos holds, and what is wrong with it.

    DIR is what `build --data` takes. Nothing in it is changed.
    """
    from edgecnn import console, findings, inspection, samples

    if picture:
        samples.check_name(picture)
    with console.progress() as progress:
        seen = inspection.inspect_folder(folder, progress, _input_of_a_build(folder))
    if picture:
        samples.write(picture, samples.draw(seen))
        _say(f"The picture of samples is {picture}.")
    document = findings.document(seen)
    console.to_stdout(document, console.data_summary(document), as_json=as_json)
    if refusal := seen.refusal():
        what = "A build would refuse this folder, for what is said first."
        remedy = "mend that, and run the command again"
        console.say_error(DataError(what, received=folder, accepted=refusal.accepted, remedy=remedy))
        raise click.exceptions.Exit(refusal.exit_code)


def _input_of_a_build(folder: Path) -> Any:
    """What `build --data` brings photos to."""
    from edgecnn import inspection

    try:
        from edgecnn.build import choice, recipes
    except ModuleNotFoundError:  # the device side alone is installed
        return inspection.INPUT
    return recipes.find(choice.chosen(folder).recipe, data=folder, quick=False).input


class _Demo(click.Command):
    """Keeps the options as they are typed, for another computer's command line."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See click."""
        ctx.meta["edgecnn.typed"] = self.make_parser(ctx).parse_args(list(args))[0]
        return super().parse_args(ctx, args)


@main.command(cls=_Demo)
@_model
@click.option(
    "--camera",
    metavar="SOURCE",
    shell_complete=_complete_cameras,
    help="0, csi, rtsp://..., http://..., a file, synthetic.",
)
@click.option("--size", metavar="WxH", callback=_size, help="Asked of the camera, such as 640x480.")
@click.option("--rate", type=float, metavar="FPS", help="Asked of the camera; of a file: live, so fast.")
@click.option("--realtime", is_flag=True, help="A video is live and plays at its own pace.")
@click.option("--rotate", type=click.Choice(["0", "90", "180", "270"]), default="0", help="Turn it clockwise.")
@click.option("--mirror", is_flag=True, help="Swap left and right.")
@click.option("--roi", metavar="X,Y,W,H", callback=_region, help="The part to look at: pixels or fractions.")
@click.option(
    "--view", metavar="NAME", shell_complete=_complete_views, help="terminal, web, window or none; see above."
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
    "--collect-limit", metavar="1GB", callback=_number(("MB", 1e6), ("GB", 1e9)), help="Disk space for all of them."
)
@_one_thread_count
@_target
@_on
@_json
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
        options = {name: value for name, value in typed.items() if name not in ("model", "host")} | _told()
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
    _say_unknown(bundle.unknown)
    with _ended_by_signals(new_line=asked.view != "terminal" and _stderr_is_terminal()):
        summary = play(bundle, asked, _say).as_json()
    if asked.events != "-":
        console.to_stdout(summary, console.demo_summary(summary), as_json=as_json)


def _told() -> dict[str, bool]:
    """How much people want to be told, wherever that stood: for another computer's command line."""
    from edgecnn.console import Verbosity

    return {name: True for name in _VERBOSITY if getattr(Verbosity, name)}


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
@_model
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
    _say(f"The unit is {out}; its first lines say how to install it.")
    if made.secret:
        _say("A password is in it: install it with -m 600. While it runs, other users see it in `ps`.")


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
@_model
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
    _say(f"{model.name} runs on {host}, from {done['release']}.")
    if done["previous"]:
        _say(f"What ran before is kept in {done['previous']}.")
    if has_password(typed["camera"]):
        _say("A password is in its unit, which others there cannot read. While it runs, they see it in `ps`.")
    if not done["at_boot"]:
        _say(f"It ends with the user's last login; once, there: sudo loginctl enable-linger {'$USER'}")


@main.command()
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="MODEL...")
@click.option("--threads", callback=_threads, metavar="N,N", help="Thread counts to compare, interleaved (1).")
@click.option(
    "--target",
    metavar="NAME,NAME",
    shell_complete=_complete_targets,
    help="Runtimes to compare, interleaved (the first that is here).",
)
@click.option("--runs", type=click.IntRange(1), help="Timed invokes for each (200).")
@click.option("--pace", type=click.FloatRange(0, min_open=True), metavar="FPS", help="Then so many a second, too.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE.png", help="Draw the distribution of the times.")
@click.option("--layers", is_flag=True, help="Then where the time goes: each operator, its MACs, bytes and limit.")
@click.option("--roofline", type=click.Path(path_type=Path), metavar="FILE.png", help="Draw that under the limits.")
@_on
@_json
def bench(
    models: tuple[Path, ...],
    threads: tuple[int, ...] | None,
    target: str | None,
    runs: int | None,
    pace: float | None,
    plot: Path | None,
    layers: bool,
    roofline: Path | None,
    host: str | None,
    as_json: bool,
) -> None:
    """Measure the latency of one invoke on this machine, or on another one.

    Several files, runtimes and thread counts are timed in turn, and each compared
    with the first. A tight loop shows what the processor can do; --pace FPS shows
    what it does for a camera, between whose frames caches and clocks go cold.

    --layers and --roofline are of one file in one runtime: how long each operator
    takes (an estimate), what this computer could do, and what to prune next.
    """
    from edgecnn import candidates, console, distribution, samples
    from edgecnn.bench import bench as measure

    for picture in (plot, roofline):
        if picture:
            samples.check_name(picture)
    if host:
        from edgecnn import remote

        pictures = {"plot": plot, "roofline": roofline}
        options = {"threads": threads, "target": target, "runs": runs, "pace": pace, "layers": layers, **_told()}
        with console.progress() as progress:
            ran = remote.bench(host, models, progress=progress, pictures=pictures, **options)
        _print_ran(ran, console.bench_summary, as_json=as_json)
        return
    chosen = candidates.candidates(models, names=target.split(",") if target else None, threads=threads or (1,))
    if (layers or roofline) and len(chosen) > 1:
        raise UsageError(
            "Operators are those of one file in one runtime with one number of threads.",
            received=f"{len(chosen)} of these",
            accepted="--layers or --roofline with one MODEL, one --target and one of --threads",
            remedy="run it once for each",
        )
    with console.progress() as progress:
        measured = measure(
            chosen,
            runs=runs or 200,
            rate=pace,
            on_run=lambda done, total: progress.update(done, total, "measuring"),
        )
    document = {"schema": 1, "model": str(models[0]), **measured.as_json(), "layers": None}
    if layers or roofline:
        document["layers"] = _layers(chosen[0], runs or 200, document, roofline)
    if plot:
        samples.write(plot, distribution.draw(distribution.panels(measured, document["runs"])))
        _say(f"The distribution is {plot}.")
    console.to_stdout(document, console.bench_summary(document), as_json=as_json)


def _layers(candidate: Any, runs: int, document: dict[str, Any], picture: Path | None) -> dict[str, Any]:
    """Where the time of a candidate goes, as JSON; and as a picture."""
    from edgecnn import console, operator_times, roofline, samples

    with console.progress() as progress:
        found = operator_times.measure(
            candidate, runs=runs, on_run=lambda done, total: progress.update(done, total, "measuring operators")
        )
    figures = found.as_json()
    if picture:
        host, run = document["host"], document["runs"][0]
        title = f"{candidate.path.name}, {run['name']}, {run['runtime']}, {host['board'] or host['processor']}"
        samples.write(picture, roofline.draw(found, title=title, advice=figures["advice"]))
        _say(f"The roofline is {picture}.")
    return figures


@main.command(name="compile")
@_model
@click.option("--target", required=True, metavar="NAME", help="ethos-u55, ethos-u65, ethos-u85, micro or edgetpu.")
@click.option("--out", type=click.Path(path_type=Path), metavar="PATH", help="The file, of micro the folder, to write.")
@click.option("--macs", type=click.IntRange(1), metavar="N", help="Multipliers of the Ethos-U (128, 256, 256).")
@click.option("--system-config", metavar="NAME", help="Clocks and bandwidths, as Vela names them.")
@click.option("--memory-mode", metavar="NAME", help="Where weights and activations are, as Vela names it.")
@click.option("--tool", type=click.Path(path_type=Path), metavar="FILE", help="The vendor's compiler.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="Of each tool (300).")
@click.option("--allow-cpu", is_flag=True, help="Operators may be left to the CPU.")
@_json
def compile_(
    model: Path, target: str, out: Path | None, timeout: float | None, allow_cpu: bool, as_json: bool, **others: Any
) -> None:
    """Compile a .tflite for an accelerator or a microcontroller.

    Operators that are left to the CPU are named, and are a missed promise unless
    --allow-cpu says that they may be. The compiled file keeps labels and manifest.
    """
    from edgecnn import Bundle, compilation, console
    from edgecnn.targets.compiling import TIMEOUT_S, CompileOptions

    asked = compilation.CompileFor(target=target, options=CompileOptions(timeout_s=timeout or TIMEOUT_S, **others))
    bundle = Bundle.read(model)
    compiled = compilation.compile_bundle(bundle, asked, name=model.stem)
    place = (out or compilation.place_for(model, asked)) if compiled.method != "screened" else None
    if place is not None:
        compilation.write(compiled, bundle, asked, place)
    document = compilation.document(compiled, asked, place)
    console.to_stdout({"schema": 1, **document}, console.compile_summary(document), as_json=as_json)
    if refusal := compilation.refusal(compiled, asked, allow_cpu=allow_cpu):
        console.say_error(refusal)
        raise click.exceptions.Exit(refusal.exit_code)


@main.command()
@click.argument("model", required=False, type=click.Path(path_type=Path))
@_json
def targets(model: Path | None, as_json: bool) -> None:
    """List the targets, and what is installed; with MODEL, what it can do on each.

    Speeds of runtimes are measured here, one thread; those of an Ethos-U are Vela's
    estimates. Agreement is with LiteRT's reference kernels, over random images.
    """
    from edgecnn import Bundle, compilation, console
    from edgecnn.latency import host_facts

    if model is None:
        rows = compilation.abilities()
    else:
        bundle = Bundle.read(model)
        with console.progress() as progress:
            rows = compilation.survey(bundle, name=model.stem, on_target=progress.update)
    document = {"schema": 1, "model": model and str(model), "targets": rows, "host": host_facts()}
    console.to_stdout(document, console.targets_summary(document), as_json=as_json)


@main.command()
@_model
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--split", metavar="NAME", help="test or all; the default is test on the folder it was built from.")
@_one_thread_count
@_target
@_on
@_json
def evaluate(
    model: Path,
    data: Path,
    split: str | None,
    threads: int | None,
    target: str | None,
    host: str | None,
    as_json: bool,
) -> None:
    """Measure the accuracy of a file on a folder of class folders."""
    from edgecnn import Bundle, Classifier, console
    from edgecnn.evaluation import evaluate_folder

    if host:
        from edgecnn import remote

        with console.progress() as progress:
            options = {"split": split, "threads": threads, "target": target, **_told()}
            ran = remote.evaluate(host, model, data, progress=progress, **options)
        _print_ran(ran, console.evaluation_summary, as_json=as_json)
        return

    bundle = Bundle.read(model)
    _say_unknown(bundle.unknown)
    with Classifier(bundle, threads=threads, target=target) as classifier, console.progress() as progress:
        document = evaluate_folder(classifier, data, split=split, progress=progress)
    console.to_stdout(document, console.evaluation_summary(document), as_json=as_json)


def _print_ran(ran: Any, summary: Callable[[dict[str, Any]], Any], *, as_json: bool) -> None:
    """What a command on another computer printed, as that command would here; its errors are on stderr already."""
    from edgecnn import console

    if ran.code:
        if as_json and ran.document:
            _print_json(ran.document)
        raise click.exceptions.Exit(ran.code)
    console.to_stdout(ran.document, summary(ran.document), as_json=as_json)


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

    _say(f"{'Removed' if remote.forget(host) else 'There was no'} ~/.edgecnn on {host}.")


@main.command()
@click.argument("builds", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="BUILD...")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE.html", help="The page (comparison.html).")
@_json
def report(builds: tuple[Path, ...], out: Path | None, as_json: bool) -> None:
    """Compare builds by their reports.

    BUILD is the folder that a build wrote to, or its report.json. The report of one
    build is the report.html in that folder.
    """
    try:
        from edgecnn.build.report import compare
    except ModuleNotFoundError as error:
        if error.name in ("filelock", "platformdirs", "jinja2", "markupsafe"):
            raise MissingExtraError(error.name, "build") from error
        raise
    from edgecnn import console
    from edgecnn.files import write_atomically

    document = compare.compare(builds)
    out = out or Path("comparison.html")
    write_atomically(out, compare.rendered(document).encode(errors="replace"))
    click.echo(f"The page is {out}.", err=True)
    console.to_stdout(document, console.comparison_summary(document), as_json=as_json)


@main.command()
@_model
@click.option("--card", "as_card", is_flag=True, help="Print its model card, as Markdown.")
@_target
@_json
def show(model: Path, as_card: bool, target: str | None, as_json: bool) -> None:
    """Say what is inside a .tflite, and whether it is whole."""
    from edgecnn import Bundle, console
    from edgecnn.card import card

    if as_card:
        text = card(Bundle.read(model))
        console.to_stdout({"schema": 1, "card": text}, text, as_json=as_json)
        return
    document = {"path": str(model), **Bundle.read(model).describe(target)}
    console.to_stdout({"schema": 1, **document}, console.show_summary(document), as_json=as_json)


@main.command()
@_model
@click.argument("images", nargs=-1, type=click.Path(path_type=Path), metavar="[IMAGE...]")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where the pictures go (explained).")
@click.option("--class", "name", metavar="NAME", help="Where it sees this class (its best answer).")
@click.option(
    "--method",
    type=click.Choice(["rise", "occlusion", "grad-cam"]),
    help="rise and occlusion ask the file; grad-cam its network, where it was built.",
)
@click.option("--filters", is_flag=True, help="Draw the filters of the first convolution.")
@click.option("--layer", metavar="NAME", help="Draw what a layer makes of the images.")
@_one_thread_count
@_target
@_json
def explain(
    model: Path,
    images: tuple[Path, ...],
    out: Path | None,
    name: str | None,
    method: str | None,
    filters: bool,
    layer: str | None,
    threads: int | None,
    target: str | None,
    as_json: bool,
) -> None:
    """Show where in images a model sees a class, and what its layers do.

    Each image gets a picture with the heat over it and the answers beside it, and
    several get a sheet. Without images, --filters shows what the first layer looks
    for.
    """
    from edgecnn import Bundle, console
    from edgecnn import explain as work

    if not images and (layer or name or method or not filters):
        raise UsageError(
            "There is nothing to explain.",
            received="no image",
            accepted="MODEL IMAGE..., or MODEL --filters",
            remedy="name one or more image files",
        )
    bundle = Bundle.read(model)
    _say_unknown(bundle.unknown)
    out, look = out or Path("explained"), _gradients(bundle) if method == "grad-cam" else None
    document: dict[str, Any] = {"schema": 1, "model": str(model), "images": [], "sheet": None, "left_out": []}
    document |= {"method": None, "runtime": None, "filters": None, "features": []}
    if images:
        chosen = method or work.DEFAULT
        explainer = work.Explainer(bundle, method=chosen, look=look, name=name, threads=threads, target=target)
        document |= {"method": chosen, "runtime": explainer.runtime}
        features = work.write_features(bundle, layer, images, out, target=target) if layer else []
        with console.progress() as progress:
            document |= work.explain_files(explainer, images, out, progress)
        document["features"] = [str(path) for path in features]
    document["filters"] = str(work.write_filters(bundle, out)) if filters else None
    console.to_stdout(document, console.explain_summary(document), as_json=as_json)


def _gradients(bundle: Any) -> Any:
    try:
        from edgecnn.build import pipeline
        from edgecnn.build.grad_cam import GradCam
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "a part", "build") from error
    pipeline.check_installed()
    return GradCam(bundle)


@main.command()
@click.argument("name", type=click.Path(path_type=Path))
@click.argument("classes", nargs=-1, metavar="[CLASS...]")
@click.option(
    "--recipe", type=click.Choice(["photos", "transfer"]), help="What is copied: from scratch (photos), or ImageNet."
)
def new(name: Path, classes: tuple[str, ...], recipe: str | None) -> None:
    """Start a project: a recipe, a folder for each class, what goes with them.

    NAME is a folder that is not there yet; nothing is ever overwritten.
    """
    from edgecnn import project

    try:
        from edgecnn.build import recipes
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "a part", "build") from error
    for path in project.start(name, classes, recipes.text(recipe or "photos")):
        click.echo(path)
    _say(f"Put photos into the folders in {name / 'photos'}; {name / 'README.md'} says how it goes on.")


@main.command()
@_json
def doctor(as_json: bool) -> None:
    """Check this installation, on a workstation or a Pi.

    Each line is ok, warn or fail, with what to do. The exit code is 2 where
    something fails: edgecnn, or a part of it, does not work here.
    """
    from edgecnn import console
    from edgecnn import doctor as work

    document = work.as_json(work.examine())
    console.to_stdout(document, console.doctor_summary(document), as_json=as_json)
    if not document["ok"]:
        raise click.exceptions.Exit(UsageError.exit_code)


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what teaches a shell to complete edgecnn's commands.

    \b
    bash  eval "$(edgecnn completion bash)"      in ~/.bashrc
    zsh   eval "$(edgecnn completion zsh)"       in ~/.zshrc, after compinit
    fish  edgecnn completion fish | source       in ~/.config/fish/config.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None, "Click knows these three"
    click.echo(kind(main, {}, "edgecnn", "_EDGECNN_COMPLETE").source())


def _say(line: str) -> None:
    from edgecnn import console

    console.say(line)


def _say_unknown(unknown: Sequence[str]) -> None:
    for what in unknown:
        _say(f"The file does not say {what}.")
