"""How fast a file is, and how right: bench, evaluate."""

from pathlib import Path
from typing import Any

import click

from edgecnn.cli import arguments
from edgecnn.cli.group import main, told
from edgecnn.cli.saying import print_ran, say, say_unknown
from edgecnn.errors import UsageError


@main.command()
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="MODEL...")
@click.option("--threads", callback=arguments.threads, metavar="N,N", help="Thread counts to compare, in turn (1).")
@click.option(
    "--target",
    metavar="NAME,NAME",
    shell_complete=arguments.complete_targets,
    help="Runtimes to compare, in turn (the first that is here).",
)
@click.option("--runs", type=click.IntRange(1), help="Timed invokes for each (200).")
@click.option("--pace", type=click.FloatRange(0, min_open=True), metavar="FPS", help="Then so many a second in all.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE.png", help="Draw the distribution of the times.")
@click.option("--layers", is_flag=True, help="Then where the time goes: each operator, its MACs, bytes and limit.")
@click.option("--roofline", type=click.Path(path_type=Path), metavar="FILE.png", help="Draw that under the limits.")
@arguments.on
@arguments.json
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
    with the first; what is timed in turn finds the caches as another left them, and
    takes longer than alone. Nothing waits between two invokes; --pace FPS shows what
    the processor does for a camera, between whose frames caches and clocks go cold.

    --layers and --roofline are of one file in one runtime: how long each operator
    takes (an estimate), what this computer could do, and what to prune next.
    """
    from edgecnn import console, drawing
    from edgecnn.bench import bench as timed
    from edgecnn.bench import candidates, distribution

    for picture in (plot, roofline):
        if picture:
            drawing.check_name(picture)
    if host:
        from edgecnn import remote

        pictures = {"plot": plot, "roofline": roofline}
        options = {"threads": threads, "target": target, "runs": runs, "pace": pace, "layers": layers, **told()}
        with console.progress() as progress:
            ran = remote.bench(host, models, progress=progress, pictures=pictures, **options)
        print_ran(ran, console.bench_summary, as_json=as_json)
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
        measured = timed(
            chosen,
            runs=runs or 200,
            rate=pace,
            on_run=lambda done, total: progress.update(done, total, "measuring"),
        )
    document = {"schema": 1, "model": str(models[0]), **measured.as_json(), "layers": None}
    if layers or roofline:
        document["layers"] = _layers(chosen[0], runs or 200, document, roofline)
    if plot:
        drawing.write(plot, distribution.draw(distribution.panels(measured, document["runs"])))
        say(f"The distribution is {plot}.")
    console.to_stdout(document, console.bench_summary(document), as_json=as_json)


def _layers(candidate: Any, runs: int, document: dict[str, Any], picture: Path | None) -> dict[str, Any]:
    """Where the time of a candidate goes, as JSON; and as a picture."""
    from edgecnn import console, drawing
    from edgecnn.bench import operator_times, roofline

    with console.progress() as progress:
        found = operator_times.time_operators(
            candidate, runs=runs, on_run=lambda done, total: progress.update(done, total, "measuring operators")
        )
    figures = found.as_json()
    if picture:
        host, run = document["host"], document["runs"][0]
        title = f"{candidate.path.name}, {run['name']}, {run['runtime']}, {host['board'] or host['processor']}"
        drawing.write(picture, roofline.draw(found, title=title, advice=figures["advice"]))
        say(f"The roofline is {picture}.")
    return figures


@main.command()
@arguments.model
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--split", metavar="NAME", help="test or all (test of the folder it was built from, all of another).")
@arguments.one_thread_count
@arguments.target
@arguments.on
@arguments.json
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
            options = {"split": split, "threads": threads, "target": target, **told()}
            ran = remote.evaluate(host, model, data, progress=progress, **options)
        print_ran(ran, console.evaluation_summary, as_json=as_json)
        return

    bundle = Bundle.read(model)
    say_unknown(bundle.unknown)
    with Classifier(bundle, threads=threads, target=target) as classifier, console.progress() as progress:
        document = evaluate_folder(classifier, data, split=split, progress=progress)
    console.to_stdout(document, console.evaluation_summary(document), as_json=as_json)
