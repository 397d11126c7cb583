"""What is in a file, and why it answers what it does: show, explain."""

from pathlib import Path
from typing import Any

import click

from edgecnn.cli import arguments
from edgecnn.cli.group import main
from edgecnn.cli.saying import say_unknown
from edgecnn.errors import MissingExtraError, UsageError


@main.command()
@arguments.model
@click.option("--card", "as_card", is_flag=True, help="Print its model card, as Markdown.")
@arguments.target
@arguments.json
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
@arguments.model
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
@arguments.one_thread_count
@arguments.target
@arguments.json
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
    say_unknown(bundle.unknown)
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
