"""Every command of ``edgecnn``: parse, one call, print. Nothing heavy is imported before a command needs it."""

from edgecnn.cli import accelerators, building, installation, live, measuring, reading
from edgecnn.cli.group import main

__all__ = ["accelerators", "building", "installation", "live", "main", "measuring", "reading"]
