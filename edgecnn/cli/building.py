"""From photos to a file: build, and what goes before and after it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from edgecnn.cli import arguments
from edgecnn.cli.group import main
from edgecnn.cli.saying import say
from edgecnn.errors import DataError, GateError, MissingExtraError, UsageError

_BYTES, _MS = arguments.number(("kB", 1e3), ("MB", 1e6)), arguments.number(("ms", 1.0))


@main.command()
@click.argument("recipe", required=False, shell_complete=arguments.complete_recipes)
@click.option("--data", type=click.Path(path_type=Path), metavar="PATH", help="A folder a class; .npz, IDX, TFRecord.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where to put the result (artifacts/NAME).")
@click.option("--quick", is_flag=True, help="A build of seconds, to see that all works.")
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Your trained Keras 2 file: the first training is left out.",
)
@click.option("--input-range", metavar="RANGE", help="What it was trained on: 0..255, 0..1 or -1..1.")
@click.option("--max-drop", metavar="1%", callback=arguments.share, help="Accuracy that may be lost.")
@click.option("--max-size", metavar="100kB", callback=_BYTES, help="Bytes of the file.")
@click.option("--max-p50", metavar="5ms", callback=_MS, help="Median latency, here or --on another.")
@click.option(
    "--unknown", type=click.Path(path_type=Path), metavar="DIR", help="Any images of none of the classes, to refuse."
)
@click.option("--tensorboard", type=click.Path(path_type=Path), metavar="DIR", help="Write the curves of training.")
@click.option("--on", "host", metavar="USER@HOST", help="Measure latencies on that computer, over ssh; see `device`.")
@arguments.json
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
            say(choice_made.why)
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
        say("Quick: it proves that everything works; the network has learned next to nothing.")
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
@arguments.json
def data(folder: Path, picture: Path | None, as_json: bool) -> None:
    """Say what a folder of photos holds, and what is wrong with it.

    DIR is what `build --data` takes. Nothing in it is changed.
    """
    from edgecnn import console, drawing, inspection
    from edgecnn.inspection import findings, samples

    if picture:
        drawing.check_name(picture)
    with console.progress() as progress:
        seen = inspection.inspect_folder(folder, progress, _input_of_a_build(folder))
    if picture:
        drawing.write(picture, samples.draw(seen))
        say(f"The picture of samples is {picture}.")
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


@main.command()
@click.argument("builds", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="BUILD...")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE.html", help="The page (comparison.html).")
@arguments.json
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
    say(f"The page is {out}.")
    console.to_stdout(document, console.comparison_summary(document), as_json=as_json)


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
    say(f"Put photos into the folders in {name / 'photos'}; {name / 'README.md'} says how it goes on.")
