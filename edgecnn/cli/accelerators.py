"""What else a file runs on: compile, targets."""

from pathlib import Path
from typing import Any

import click

from edgecnn.cli import arguments
from edgecnn.cli.group import main


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
