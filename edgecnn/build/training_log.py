"""How far a training is: the line of progress, and the curves for TensorBoard."""

import time
from collections.abc import Sequence

from edgecnn.build.checkpoint import History
from edgecnn.build.keras import keras, tf
from edgecnn.build.recipe import Context

_SHOWN = {"accuracy": "train", "val_accuracy": "validation"}
_KNOWN_AFTER = 10  # steps; the first ones are slower, and say little of the rest


def line(epoch: int, epochs: int, history: Sequence[dict[str, float]], left: str = "") -> str:
    """An epoch, counted from 0, the figures of the last finished one, and what is known of the time left."""
    figures = "".join(f", {history[-1][key]:.3f} on {name}" for key, name in _SHOWN.items()) if history else ""
    return f"epoch {epoch + 1}/{epochs}{figures}{left}"


class ProgressLine(keras.callbacks.Callback):  # type: ignore[misc]
    """Says how far the training is, and how long it takes yet, from the pace of the steps since it began or went on.

    Args:
        context: where to say it.
        epochs: of the whole training.
        steps: of an epoch.
        history: of the finished epochs; it grows outside.
        may_end: whether patience may end it before.
    """

    def __init__(self, context: Context, epochs: int, steps: int, history: History, *, may_end: bool) -> None:
        super().__init__()
        self._context, self._epochs, self._steps, self._history = context, epochs, steps, history
        self._at_most = "at most " if may_end else ""
        self._pace = Pace()

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        """After each step."""
        epoch, total = len(self._history), self._epochs * self._steps
        done = epoch * self._steps + batch + 1
        self._pace.step(done)
        self._context.progress.update(done, total, line(epoch, self._epochs, self._history, self._left(done)))

    def _left(self, done: int) -> str:
        seconds = self._pace.seconds(self._epochs * self._steps - done)
        return "" if seconds is None else f", {self._at_most}{duration(seconds)} left"

    def say(self, name: str) -> None:
        """A line that stays, of the epoch that has just ended."""
        done = len(self._history)
        left = self._left(done * self._steps) if done < self._epochs else ""
        self._context.progress.say(f"{name}: {line(done - 1, self._epochs, self._history, left)}")


class Pace:
    """How long steps take, from the end of the first on, in which everything is made ready."""

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None
        self._done = 0

    def step(self, done: int) -> None:
        """So many steps are done, counted from the beginning of all."""
        self._first, self._done = self._first or (done, time.monotonic()), done

    def seconds(self, steps: int) -> float | None:
        """How long so many more steps take, validation between them and all; None where that is not known yet."""
        if not self._first or (measured := self._done - self._first[0]) < _KNOWN_AFTER:
            return None
        return (time.monotonic() - self._first[1]) / measured * steps


def duration(seconds: float) -> str:
    """``40 s``, ``4 min``, ``1 h 20 min``: no finer than it can be known."""
    if seconds < 55:
        return f"{max(5, round(seconds / 5) * 5)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{max(1, minutes)} min"
    return f"{minutes // 60} h {minutes % 60 // 10 * 10} min"


class Curves:
    """The figures of each epoch, for TensorBoard, in a folder of the stage's own; nothing where none is asked for.

    A step is an epoch, counted from 1. The file is written by TensorFlow; TensorBoard, which TensorFlow does not bring,
    is needed for looking alone. A training that goes on writes what was before again, so that none is missing.

    Args:
        context: says where, and whether.
        name: of the stage.
        part: of the stage.
        history: of the epochs before.
    """

    def __init__(self, context: Context, name: str, part: int, history: History) -> None:
        self._writer, self._written = None, 0
        if context.tensorboard:
            # The key tells builds of other settings apart, which TensorBoard then compares.
            run = f"{name}-{part}-{context.workspace.stem[:8]}" if part else f"{name}-{context.workspace.stem[:8]}"
            self._writer = tf.summary.create_file_writer(str(context.tensorboard / run))
            self.write(history)

    def write(self, history: History) -> None:
        """Write the epochs that are not written yet."""
        if not self._writer:
            return
        scalars = tf.compat.v1.SummaryMetadata(plugin_data={"plugin_name": "scalars"})
        with self._writer.as_default():
            for epoch in range(self._written, len(history)):
                for figure, value in history[epoch].items():
                    tf.summary.write(figure, tf.constant(value), step=epoch + 1, metadata=scalars)
        self._writer.flush()
        self._written = len(history)
