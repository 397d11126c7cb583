"""Which channels matter least, and how many of them go for a given saving."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.build import feed
from edgecnn.build.channels import Alive, Channels, Group
from edgecnn.build.data import Images
from edgecnn.build.keras import keras, tf
from edgecnn.build.narrow_strides import sound
from edgecnn.preprocess import InputSpec

Scores = NDArray[np.float64]


def importance(model: Any, channels: Channels, images: Images, spec: InputSpec, criterion: str) -> Scores:
    """What each channel is worth, (channels.count,) float64; see `edgecnn.build.prune.PruneChannels`.

    Args:
        model: the one that ``channels`` was made of.
        channels: its channels.
        images: what the loss of ``taylor`` is measured on, in inference mode.
        spec: the model's input.
        criterion: ``taylor``: over batches, the mean of the squared first-order change of the loss when what a batch
            norm (or a layer without one) puts out in that channel becomes zero. ``bn_scale``: the sum of the absolute
            scales.
    """
    scores = np.zeros(channels.count)
    gates = {layer.name: weights for layer in model.layers if (weights := _gate(layer))}
    if criterion == "bn_scale":
        for name, (scale, *_) in gates.items():
            np.add.at(scores, channels.made_by(name), np.abs(_by_channel(scale)))
        return scores
    variables = [weight for weights in gates.values() for weight in weights]
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function  # type: ignore[untyped-decorator]
    def gradients(batch: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = loss_of(labels, model(batch, training=False))
        return tape.gradient(loss, variables)

    with sound(model):
        # An even number, for what `Schedule.batch_size` says.
        for batch, labels in feed.in_order(images.sample(len(images) // 2 * 2), spec, 128):
            slopes = iter(gradients(batch, labels))
            for name, weights in gates.items():
                change = sum(_by_channel(weight * next(slopes)) for weight in weights)
                np.add.at(scores, channels.made_by(name), np.square(change))
    return scores


def least(channels: Channels, multiple: int) -> Alive:
    """The fewest channels that pruning leaves."""
    return remove(channels, np.ones(channels.count, bool), np.zeros(channels.count), {"macs": 0.0}, multiple)


def remove(channels: Channels, alive: Alive, scores: Scores, limits: Mapping[str, float], multiple: int) -> Alive:
    """Remove the channels that matter least for what they save, until the costs are within their limits.

    Args:
        channels: of the network.
        alive: (channels.count,) bool, what is there.
        scores: (channels.count,) float64, what each is worth.
        limits: for ``macs`` and ``size_bytes``.
        multiple: of each group so many go at a time, the first time as many as leave a multiple.

    Returns:
        (channels.count,) bool, what is left; over the limits where no group can lose any more.
    """
    alive, gone = alive.copy(), []
    while True:
        cost, over = _over(channels, alive, limits)
        choices = [
            choice for group in channels.groups if (choice := _choice(group, alive, scores, multiple)) is not None
        ]
        if not over or not choices:
            break

        def price(choice: Any, over: Mapping[str, float] = over, cost: Mapping[str, int] = cost) -> float:
            """Importance for each part of what is still over that this choice saves."""
            fewer = alive.copy()
            fewer[choice] = False
            after = vars(channels.cost(fewer))
            return float(scores[choice].sum() / sum((cost[name] - after[name]) / over[name] for name in over))

        gone.append(min(choices, key=price))
        alive[gone[-1]] = False
    for choice in reversed(gone):  # the last ones may have saved more than was asked for
        alive[choice] = True
        alive[choice] = not _over(channels, alive, limits)[1]
    return alive


def _over(channels: Channels, alive: Alive, limits: Mapping[str, float]) -> tuple[dict[str, int], dict[str, float]]:
    """The costs, and by how much those that are over their limits are."""
    cost = vars(channels.cost(alive))
    return cost, {name: cost[name] - limit for name, limit in limits.items() if cost[name] > limit}


def _choice(group: Group, alive: Alive, scores: Scores, multiple: int) -> Any | None:
    """The channels of a group that would go first; None where none may."""
    there = group.ids[alive[group.ids]]
    count = len(there) % multiple or multiple
    return there[np.argsort(scores[there], kind="stable")[:count]] if len(there) > multiple else None


def _gate(layer: Any) -> list[Any]:
    """The weights that a channel goes through last: of the batch norm, or of a layer that has none behind it."""
    if isinstance(layer, keras.layers.BatchNormalization):
        return [weight for weight in (layer.gamma, layer.beta) if weight is not None]
    followers = [type(node.outbound_layer).__name__ for node in layer._outbound_nodes]
    makes = isinstance(layer, keras.layers.Conv2D | keras.layers.Dense)
    return list(layer.trainable_weights) if makes and "BatchNormalization" not in followers else []


def _by_channel(value: Any) -> Any:
    """The sum of a weight's shape by output channel, which is the last axis."""
    array = np.asarray(value)
    return array.sum(axis=tuple(range(array.ndim - 1)))
