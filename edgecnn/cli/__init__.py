"""Every command of ``edgecnn``: parse, one call, print. Nothing heavy is imported before a command needs it."""

from edgecnn.cli import building, installing, live, measuring, reading
from edgecnn.cli.group import main

__all__ = ["building", "installing", "live", "main", "measuring", "reading"]
