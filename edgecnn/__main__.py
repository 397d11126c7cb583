"""``edgecnn``, and ``python -m edgecnn``."""

import sys


def main() -> None:
    """The command line, also for who presses Ctrl-C before it is loaded."""
    try:
        from edgecnn import cli
    except KeyboardInterrupt:
        sys.exit(130)
    cli.main()


if __name__ == "__main__":
    main()
