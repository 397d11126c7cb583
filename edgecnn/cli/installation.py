"""The installation itself: doctor, completion."""

import click

from edgecnn.cli import arguments
from edgecnn.cli.group import main
from edgecnn.errors import UsageError


@main.command()
@arguments.json
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
