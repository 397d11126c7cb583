"""Removing channels that are zero changes nothing: on the networks, on every kind of join, on random graphs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgecnn import InputSpec
from edgecnn.build.architectures import ResNet8, SeparableNet
from edgecnn.build.canonical import canonical
from edgecnn.build.channels import Alive, Channels
from edgecnn.build.keras import keras, tf
from edgecnn.errors import ModelError

layers = keras.layers
SPEC = InputSpec(height=16, width=16)
IMAGES = np.random.default_rng(5).uniform(-1, 1, (3, 16, 16, 3)).astype(np.float32)


def randomized(model: Any, seed: int = 0) -> Any:
    """Weights as after a training: no two alike, batch norms that do something, variances positive."""
    random = np.random.default_rng(seed)
    values = []
    for weight in model.weights:
        spread = random.normal(0, 0.4, weight.shape)
        values.append(np.abs(spread) + 0.5 if "variance" in weight.name else spread)
    model.set_weights(values)
    return model


def some(channels: Channels, seed: int = 0) -> Alive:
    """About half of the channels of each group, at least one."""
    random = np.random.default_rng(seed)
    alive = np.ones(channels.count, bool)
    for group in channels.groups:
        alive[random.permutation(group.ids)[: len(group.ids) // 2]] = False
    return alive


def zeroed(model: Any, channels: Channels, alive: Alive) -> Any:
    """The model, with zeros in all that makes a channel that is not alive."""
    copy = keras.models.clone_model(model)
    for layer, original in zip(copy.layers, model.layers, strict=True):
        if not layer.weights:
            continue
        dead = ~alive[channels.made_by(layer.name)]
        values = []
        for array in map(np.copy, original.get_weights()):
            if isinstance(layer, layers.DepthwiseConv2D) and array.ndim == 4:
                array.reshape(*array.shape[:2], -1)[..., dead] = 0  # its two last axes are one, of channels
            else:
                array[..., dead] = 0
            values.append(array)
        layer.set_weights(values)
    return copy


def assert_nothing_changes(model: Any, seed: int = 0) -> Any:
    """The proof: what is left computes what all of it computed with zeros in the channels that went."""
    channels = Channels(randomized(model, seed))
    alive = some(channels, seed)
    smaller = channels.without(alive)
    expected = zeroed(model, channels, alive)(IMAGES, training=False).numpy()
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(smaller(IMAGES, training=False), expected, rtol=2e-4, atol=2e-4 * np.abs(expected).max())
    assert smaller.count_params() < model.count_params()
    return smaller


@pytest.mark.parametrize("architecture", [ResNet8(), ResNet8(widths=(8, 24, 40), stem_stride=2), SeparableNet()])
def test_on_every_architecture(architecture: Any) -> None:
    assert_nothing_changes(architecture.build(SPEC, 7))


def convolution(x: Any, width: int = 8, size: int = 3) -> Any:
    x = layers.Conv2D(width, size, padding="same", use_bias=False)(x)
    return layers.ReLU()(layers.BatchNormalization()(x))


def residual(x: Any) -> Any:
    return layers.Add()([convolution(x, x.shape[-1]), x])


def squeeze_and_excite(x: Any) -> Any:
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Conv2D(4, 1, activation="relu")(gate)
    return layers.Multiply()([x, layers.Conv2D(x.shape[-1], 1, activation="sigmoid")(gate)])


def squeeze_and_excite_dense(x: Any) -> Any:
    gate = layers.Dense(4, activation="relu")(layers.GlobalAveragePooling2D()(x))
    gate = layers.Dense(x.shape[-1], activation="sigmoid")(gate)
    return x * layers.Reshape((1, 1, x.shape[-1]))(gate)


def inception(x: Any) -> Any:
    pooled = layers.MaxPooling2D(3, strides=1, padding="same")(x)
    return layers.Concatenate()([convolution(x, 6, 1), convolution(x, 10), convolution(pooled, 4, 1)])


def depthwise(x: Any) -> Any:
    return layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(x))


def hard_swish(x: Any) -> Any:
    return x * tf.nn.relu6(x + 3.0) * (1 / 6)


def spatial_attention(x: Any) -> Any:
    summary = layers.Concatenate()([tf.reduce_mean(x, -1, keepdims=True), tf.reduce_max(x, -1, keepdims=True)])
    return layers.Multiply()([x, layers.Conv2D(1, 3, padding="same", activation="sigmoid")(summary)])


def shared(x: Any) -> Any:
    layer = layers.Conv2D(x.shape[-1], 3, padding="same")
    return layer(layer(x))


def prelu(x: Any) -> Any:
    return layers.PReLU(shared_axes=[1, 2])(layers.Conv2D(8, 3, padding="same")(x))


BLOCKS: tuple[Callable[[Any], Any], ...] = (
    convolution,
    residual,
    squeeze_and_excite,
    squeeze_and_excite_dense,
    inception,
    depthwise,
    hard_swish,
    shared,
    prelu,
    layers.MaxPooling2D(2, padding="same").__call__,
)
HEADS: dict[str, Callable[[Any], Any]] = {
    "pool": lambda x: layers.GlobalAveragePooling2D()(x),
    "flatten": lambda x: layers.Flatten()(x),
    "reshape": lambda x: layers.Reshape((int(np.prod(x.shape[1:])),))(x),
    "dense": lambda x: layers.Dropout(0.1)(layers.Dense(12, activation="relu")(layers.Flatten()(x))),
}


def network(blocks: list[Callable[[Any], Any]], head: str) -> Any:
    image = x = layers.Input((16, 16, 3))
    x = layers.MaxPooling2D(2)(convolution(x))
    for block in blocks:
        x = block(x)
    return canonical(keras.Model(image, layers.Dense(5)(HEADS[head](x))))


@pytest.mark.parametrize("head", list(HEADS))
def test_on_every_head(head: str) -> None:
    assert_nothing_changes(network([residual], head))


@pytest.mark.parametrize("block", [*BLOCKS[1:-1], spatial_attention], ids=lambda block: block.__name__)
def test_on_every_kind_of_block(block: Callable[[Any], Any]) -> None:
    assert_nothing_changes(network([block, convolution], "pool"))


@pytest.mark.parametrize("seed", range(12))
def test_on_random_graphs(seed: int) -> None:
    random = np.random.default_rng(seed)
    blocks = [
        layers.MaxPooling2D(2, padding="same") if index == len(BLOCKS) - 1 else BLOCKS[index]
        for index in random.integers(0, len(BLOCKS), 6)
    ]
    assert_nothing_changes(network(blocks, str(random.choice(list(HEADS)))), seed)


def test_what_a_reduction_over_channels_reads_stays() -> None:
    """A mean over fewer channels is another mean."""
    channels = Channels(network([spatial_attention], "pool"))
    assert [group.layers for group in channels.groups] == []


def test_a_residual_sum_is_one_group_and_a_concatenation_is_three() -> None:
    groups = Channels(network([residual, inception], "pool")).groups
    assert [len(group.layers) for group in groups] == [2, 1, 1, 1]
    assert sorted(len(group.ids) for group in groups) == [4, 6, 8, 10]


def test_the_cost_is_what_keras_counts_and_falls_with_the_channels() -> None:
    model = ResNet8().build(InputSpec(height=32, width=32), 10)
    channels = Channels(model)
    everything = np.ones(channels.count, bool)
    kernels = sum(int(np.prod(weight.shape)) for weight in model.weights if "kernel" in weight.name)
    outputs = sum(layer.kernel.shape[-1] for layer in model.layers if hasattr(layer, "kernel"))
    assert channels.cost(everything).size_bytes == kernels + 8 * outputs
    assert channels.cost(everything).macs == 12_501_632  # the paper's table says 12.5 million
    alive = some(channels)
    smaller = Channels(channels.without(alive))
    assert channels.cost(alive) == smaller.cost(np.ones(smaller.count, bool))


def test_depthwise_layers_are_counted() -> None:
    image = layers.Input((16, 16, 3))
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, use_bias=False)(image)
    model = keras.Model(image, layers.Dense(4, use_bias=False)(layers.GlobalAveragePooling2D()(x)))
    channels = Channels(model)
    assert channels.cost(np.ones(channels.count, bool)).macs == 16 * 16 * 9 * 6 + 6 * 4


def test_the_model_is_not_changed() -> None:
    model = randomized(network([residual], "pool"))
    before = model.get_weights()
    channels = Channels(model)
    channels.without(some(channels))
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_every_layer_that_cannot_be_followed_is_named() -> None:
    image = layers.Input((16, 16, 4))
    x = layers.Conv2D(8, 3, groups=2, name="grouped")(image)
    y = layers.Permute((3, 1, 2), name="turned")(layers.Conv2D(8, 3)(image))
    model = keras.Model(image, layers.Add()([layers.Flatten()(x), layers.Flatten()(y)]))
    with pytest.raises(ModelError) as caught:
        Channels(model)
    assert caught.value.exit_code == 5
    assert "grouped (Conv2D" in str(caught.value.received)
    assert "turned (Permute" in str(caught.value.received)
