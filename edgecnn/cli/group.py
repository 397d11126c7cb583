"""``edgecnn`` itself: exit codes, errors, and how much people are told."""

import sys
import traceback
from collections.abc import Sequence
from typing import Any

import click

from edgecnn import __version__
from edgecnn.cli.saying import print_json
from edgecnn.errors import EdgecnnError, error_document


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


def told() -> dict[str, bool]:
    """How much people want to be told, wherever that stood: for another computer's command line."""
    from edgecnn.console import Verbosity

    return {name: True for name in _VERBOSITY if getattr(Verbosity, name)}


class _Commands(click.Group):
    """Click's group, with edgecnn's exit codes and errors; `--quiet` and `--verbose` go before or after a command."""

    group_class = type  # groups in it are of its kind

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.params += _verbosity_options()

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """See Click."""
        if cmd.name not in ("service", "completion") and not isinstance(cmd, _Commands):
            cmd.params += _verbosity_options()
        super().add_command(cmd, name)

    def main(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> Any:
        """Run a command and exit with its code."""
        arguments = list(sys.argv[1:] if args is None else args)
        try:
            code = super().main(arguments, *rest, **{**options, "standalone_mode": False})
        except click.ClickException as error:
            if "--json" in arguments:
                print_json(error_document("usage", error.format_message(), None, None, "see --help"))
            error.show()
            code = error.exit_code
        except EdgecnnError as error:
            code = _fail(error, "--json" in arguments)
        except (KeyboardInterrupt, click.Abort):
            if "--json" in arguments:
                print_json(error_document("interrupted", "Interrupted.", None, None, "run the command again"))
            resumes = next((word for word in arguments if not word.startswith("-")), None) == "build"
            click.echo(f"Interrupted.{' The same command goes on where it stopped.' if resumes else ''}", err=True)
            code = 130
        except Exception as error:
            traceback.print_exc()
            remedy = "please report it with the lines above"
            if "--json" in arguments:
                print_json(error_document("bug", f"{type(error).__name__}: {error}", None, None, remedy))
            click.echo(f"This is a bug of edgecnn's: {remedy}.", err=True)
            code = 1
        sys.exit(code or 0)


def _fail(error: EdgecnnError, as_json: bool) -> int:
    from edgecnn import console

    if as_json:
        print_json(error.as_json())
    console.say_error(error)
    return error.exit_code


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.version_option(__version__, prog_name="edgecnn")
def main() -> None:
    """From a folder of photos to a proved int8 .tflite, running live."""
