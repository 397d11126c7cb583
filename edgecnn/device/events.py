"""``--events``: one JSON line per answered frame, for other programs to read while the demo runs."""

import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, BinaryIO, cast

from edgecnn.device.frames import Answer
from edgecnn.errors import DeviceError, UsageError


@contextmanager
def events_to(target: str) -> Iterator[Callable[[Answer], None]]:
    """What `run` calls with each answer: it adds a line to a file, or to stdout for ``-``.

    Nothing is buffered: a reader at the other end of a pipe sees each line at once. When that reader has gone, the
    `BrokenPipeError` goes through, and `run` ends as it does for Ctrl-C.

    Raises:
        UsageError: the file cannot be opened.
        DeviceError: while writing: the disk is full, or it failed.
    """
    if target == "-":
        sys.stdout.flush()
        # Below Python's buffer: what a broken pipe leaves in there would be written again, and fail, at exit.
        yield _writer(getattr(sys.stdout.buffer, "raw", sys.stdout.buffer), "stdout")
    else:
        with _open(target) as stream:
            yield _writer(stream, target)


def event(answer: Answer) -> dict[str, Any]:
    """The JSON of one line; ``time`` is when the frame was captured, in UTC, ISO 8601."""
    captured_s = (time.time_ns() - (time.perf_counter_ns() - answer.frame.captured_ns)) / 1e9
    return {
        "number": answer.frame.number,
        "time": datetime.fromtimestamp(captured_s, tz=timezone.utc).isoformat(timespec="microseconds"),
        "source": answer.frame.source,
        **said(answer),
    }


def said(answer: Answer) -> dict[str, Any]:
    """What the model says of a frame: the label that is shown, None where it is unknown, and the best classes."""
    return {
        "shown": answer.shown and answer.shown.label,
        "predictions": [
            # JSON has no NaN, and a foreign model may have.
            {"label": p.label, "score": p.score if math.isfinite(p.score) else None, "index": p.index}
            for p in answer.predictions
        ],
    }


def _writer(stream: BinaryIO, name: str) -> Callable[[Answer], None]:
    def write(answer: Answer) -> None:
        line = f"{json.dumps(event(answer), ensure_ascii=False)}\n".encode()
        try:
            while line:  # an unbuffered stream may take a part of it
                line = line[stream.write(line) or 0 :]
        except BrokenPipeError:
            raise
        except OSError as error:
            raise DeviceError(
                f"The events cannot be written to {name}.",
                received=error.strerror,
                accepted="a place with space left",
                remedy="free some space, or choose another file with --events",
            ) from error

    return write


def _open(target: str) -> BinaryIO:
    try:
        return cast(BinaryIO, Path(target).open("ab", buffering=0))
    except OSError as error:
        raise UsageError(
            f"The events cannot be written to {target}.",
            received=error.strerror,
            accepted="a file that this user may write, in a folder that exists, or - for stdout",
            remedy="choose another file with --events",
        ) from error
