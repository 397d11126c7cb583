"""Training that resumes: one epoch at a time, each a function of the seed and of what the last one left.

What repeats: the same recipe, seed and images give the same weights to the bit, on processors of one kind, with the
same number of threads and the versions in the report. The first weights follow from the seed; the order of the images
and every augmentation from (seed, stage, part, epoch, step); TensorFlow's operators are held to their deterministic
forms; and what is decided on the way, such as when patience ends, from figures that are on disk.

After each epoch the weights, the optimizer's variables, the history and the best weights are written beside and
renamed. A build that was killed goes on after the last finished epoch, and ends in the same bytes as one that was not.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from edgecnn.build import balance, feed, losses, mixed, models, training_log
from edgecnn.build.checkpoint import Checkpoint, History
from edgecnn.build.keras import keras
from edgecnn.build.narrow_strides import sound
from edgecnn.build.optimizer import Rates, optimizer
from edgecnn.build.recipe import Context
from edgecnn.build.schedule import Schedule

CHECKPOINT = "checkpoint{}.npz"


def fit(
    model: Any,
    context: Context,
    schedule: Schedule,
    *,
    callbacks: Sequence[Any] = (),
    part: int = 0,
    frozen: float = 0.0,
    settled: int = 0,
    rates: Rates | None = None,
) -> History:
    """Train a model on the training split with AdamW, and a learning rate that falls along a half cosine.

    The schedule is that of Loshchilov and Hutter 2017 (arXiv:1608.03983), without restarts.

    Args:
        model: (batch, height, width, channels) float32 to logits; trained in place.
        context: gives the data, the augmentations, the seed and the workspace for checkpoints.
        schedule: the stage that trains, and its name for the lines of progress.
        callbacks: Keras callbacks, called in each epoch.
        part: a number of its own for each training of a stage that has several.
        frozen: in this share of the epochs, at the end, batch norms run as they will in the file.
        settled: the first epoch, from 0, that patience may take for the best, where what is trained changes before.
        rates: the factor of each layer's learning rate, by the layer's name; None is 1 for all. A layer of 0 does not
            change at all: a batch norm runs on its statistics, and keeps them.

    Returns:
        One dict of figures an epoch: loss, accuracy, val_loss, val_accuracy. `Schedule.best` says which epoch's
        weights the model has.
    """
    network = mixed.of(model, schedule, context)
    with _held(network, rates), sound(network):
        steps, epochs = _length(context, schedule)
        trainer = mixed.scaled(optimizer(network, schedule, steps * epochs, rates), network)
        _compile(network, schedule, trainer)
        state = Checkpoint(context.workspace / CHECKPOINT.format(part))
        state.restore(network)
        _train(network, context, schedule, state, callbacks=callbacks, part=part, frozen=frozen, settled=settled)
        model.set_weights(state.best or _kept(network))
    history, best = state.history, schedule.best(state.history, settled)
    if schedule.patience:
        accuracy = history[best]["val_accuracy"]
        context.progress.say(f"{schedule.name}: epoch {best + 1} is kept, {accuracy:.3f} on validation")
    return history


def _train(
    model: Any,
    context: Context,
    schedule: Schedule,
    state: Checkpoint,
    *,
    callbacks: Sequence[Any],
    part: int,
    frozen: float,
    settled: int,
) -> None:
    """The epochs that are left; see `fit`."""
    (steps, epochs), history = _length(context, schedule), state.history
    batches = _batches(context, schedule, part)
    told = training_log.ProgressLine(context, epochs, steps, history, may_end=schedule.patience > 0)
    curves = training_log.Curves(context, schedule.name, part, history)
    first_frozen = max(epochs - round(frozen * epochs), len(history))
    for epoch in range(len(history), epochs):
        if schedule.ended(history, settled):
            break
        if epoch == first_frozen:
            _freeze(model)
            _compile(model, schedule, model.optimizer)  # `fit` takes what was trainable when it was compiled
        figures = model.fit(
            batches(epoch),
            initial_epoch=epoch,
            epochs=epoch + 1,
            steps_per_epoch=steps,
            validation_data=feed.in_order(context.data["validation"], context.recipe.input, schedule.batch_size),
            verbose=0,
            callbacks=[*callbacks, _OnAverages(), told],
        ).history
        history.append({name: round(float(values[0]), 6) for name, values in figures.items()})
        if schedule.patience and schedule.best(history, settled) == epoch:
            state.best = _kept(model)
        state.save(model)
        told.say(schedule.name)
        curves.write(history)


def _length(context: Context, schedule: Schedule) -> tuple[int, int]:
    """Steps an epoch, and epochs."""
    images = len(context.data["train"])
    return schedule.steps_per_epoch(images), schedule.epochs_for(images)


def _batches(context: Context, schedule: Schedule, part: int) -> Callable[[int], Any]:
    """From an epoch to its batches."""
    train = context.data["train"]
    teacher = models.load_teacher(context) if schedule.distill else None
    weights = balance.class_weights(train.labels, len(context.data.labels)) if schedule.class_weights else None
    return lambda epoch: feed.batches(
        train, context, (part, epoch), schedule.batch_size, teacher=teacher, class_weights=weights
    )


class _OnAverages(keras.callbacks.Callback):  # type: ignore[misc]
    """Validation measures what is kept."""

    def on_test_begin(self, logs: Any = None) -> None:
        """From here on the model has its averages."""
        self._measured = ExitStack()
        self._measured.enter_context(mixed.plain(self.model.optimizer).averaged(self.model))

    def on_test_end(self, logs: Any = None) -> None:
        """It goes on from its weights."""
        self._measured.close()


def _kept(model: Any) -> list[Any]:
    """The weights that a training keeps of this epoch, in Keras's order."""
    with mixed.plain(model.optimizer).averaged(model):
        weights: list[Any] = model.get_weights()
    return weights


@contextmanager
def _held(model: Any, rates: Rates | None) -> Iterator[None]:
    """Layers whose rate is 0 cannot be trained for as long as the block runs."""
    held = [layer for layer in model.layers if layer.trainable and rates and rates(layer.name) == 0]
    for layer in held:
        layer.trainable = False
    try:
        yield
    finally:
        for layer in held:
            layer.trainable = True


def _freeze(model: Any) -> None:
    """Let every batch norm use its moving statistics, and leave them alone."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def _compile(model: Any, schedule: Schedule, optimizer: Any) -> None:
    model.compile(optimizer=optimizer, loss=losses.loss(schedule), metrics=[losses.accuracy()])
