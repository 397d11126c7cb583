"""How fast a file is, how right, and what else it runs on: bench, evaluate, compile, targets."""

from pathlib import Path
from typing import Any

import click

from edgecnn.cli import arguments
from edgecnn.cli.group import main, told
from edgecnn.cli.saying import print_ran, say, say_unknown
from edgecnn.errors import UsageError


@main.command()
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="MODEL...")
@click.option("--threads", callback=arguments.threads, metavar="N,N", help="Thread counts to compare, interleaved (1).")
@click.option(
    "--target",
    metavar="NAME,NAME",
    shell_complete=arguments.complete_targets,
    help="Runtimes to compare, interleaved (the first that is here).",
)
@click.option("--runs", type=click.IntRange(1), help="Timed invokes for each (200).")
@click.option("--pace", type=click.FloatRange(0, min_open=True), metavar="FPS", help="Then so many a second, too.")
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
    with the first. A tight loop shows what the processor can do; --pace FPS shows
    what it does for a camera, between whose frames caches and clocks go cold.

    --layers and --roofline are of one file in one runtime: how long each operator
    takes (an estimate), what this computer could do, and what to prune next.
    """
    from edgecnn import console, drawing
    from edgecnn.bench import bench as measure
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
        drawing.write(plot, distribution.draw(distribution.panels(measured, document["runs"])))
        say(f"The distribution is {plot}.")
    console.to_stdout(document, console.bench_summary(document), as_json=as_json)


def _layers(candidate: Any, runs: int, document: dict[str, Any], picture: Path | None) -> dict[str, Any]:
    """Where the time of a candidate goes, as JSON; and as a picture."""
    from edgecnn import console, drawing
    from edgecnn.bench import operator_times, roofline

    with console.progress() as progress:
        found = operator_times.measure(
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
@click.option("--split", metavar="NAME", help="test or all; the default is test on the folder it was built from.")
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


@main.command(name="compile")
@arguments.model
@click.option("--target", required=True, metavar="NAME", help="ethos-u55, ethos-u65, ethos-u85, micro or edgetpu.")
@click.option("--out", type=click.Path(path_type=Path), metavar="PATH", help="The file, of micro the folder, to write.")
@click.option("--macs", type=click.IntRange(1), metavar="N", help="Multipliers of the Ethos-U (128, 256, 256).")
@click.option("--system-config", metavar="NAME", help="Clocks and bandwidths, as Vela names them.")
@click.option("--memory-mode", metavar="NAME", help="Where weights and activations are, as Vela names it.")
@click.option("--tool", type=click.Path(path_type=Path), metavar="FILE", help="The vendor's compiler.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="Of each tool (300).")
@click.option("--allow-cpu", is_flag=True, help="Operators may be left to the CPU.")
@arguments.json
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
@arguments.json
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
