"""Catching what native code writes to the process's own stdout and stderr, below Python."""

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_LOG = logging.getLogger(__name__)


class Caught:
    """What was written while the outputs were caught; ``text`` is filled in at the end."""

    text = ""


@contextmanager
def silenced() -> Iterator[Caught]:
    """Send file descriptors 1 and 2 to a file for a while; the text is kept for an error message, and logged.

    Not for use while another thread prints: its lines would be caught too.
    """
    caught = Caught()
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield caught
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for descriptor, copy in zip((1, 2), saved, strict=True):
                os.dup2(copy, descriptor)
                os.close(copy)
            file.seek(0)
            caught.text = file.read().decode(errors="replace")
            if caught.text.strip():
                _LOG.debug("%s", caught.text.rstrip())
