"""A network that is rewritten computes what it did, in layers that the rest of the build knows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgecnn.build.canonical import canonical
from edgecnn.build.channels import Channels
from edgecnn.build.custom_layers import ChannelPooling, HardSwish
from edgecnn.build.flatten import flatten
from edgecnn.build.keras import keras, tf
from edgecnn.errors import ModelError
from tests.build.test_channels import randomized
from tests.build.test_quantizable import ACCEPTED, conv, network, relu

layers = keras.layers
IMAGES = np.random.default_rng(5).uniform(-1, 1, (3, 12, 12, 3)).astype(np.float32)


@pytest.fixture(autouse=True)
def fresh_session() -> None:
    keras.backend.clear_session()
    keras.utils.set_random_seed(4)


def kinds(model: Any) -> list[str]:
    return [type(layer).__name__ for layer in model.layers]


@pytest.mark.parametrize("name", ACCEPTED)
def test_the_outputs_are_the_same_and_so_is_what_is_rebuilt_from_json(name: str) -> None:
    model = network(ACCEPTED[name])
    before = model(IMAGES, training=False).numpy()
    made = canonical(model)
    np.testing.assert_allclose(made(IMAGES, training=False), before, rtol=1e-4, atol=1e-5 * np.abs(before).max())
    assert not {"TFOpLambda", "SeparableConv2D", "Average", "Normalization"} & set(kinds(made))
    assert canonical(made) is made
    again = keras.models.model_from_json(made.to_json())
    again.set_weights(made.get_weights())
    assert np.array_equal(again(IMAGES, training=False), made(IMAGES, training=False))


def test_a_network_that_is_canonical_is_returned_as_it_is() -> None:
    model = network(lambda x: layers.Add()([relu(x), conv(x)]))
    assert canonical(model) is model


def test_layers_that_stay_keep_their_names_weights_and_flags() -> None:
    model = network(lambda x: conv(tf.nn.relu6(conv(x))) * 2.0)
    model.get_layer("batch_normalization").trainable = False
    made = canonical(model)
    assert {"conv2d", "batch_normalization", "conv2d_1", "tf.nn.relu6", "tf.math.multiply"} < {
        layer.name for layer in made.layers
    }
    assert [layer.name for layer in made.layers if layer.weights and not layer.trainable] == ["batch_normalization"]
    assert np.array_equal(made.get_layer("conv2d_1").kernel, model.get_layer("conv2d_1").kernel)
    assert made.input_names == model.input_names


@pytest.mark.parametrize(
    "block",
    [
        lambda x: (y := conv(x)) * tf.nn.relu6(y + 3.0) / 6.0,
        lambda x: layers.Multiply()([tf.nn.relu6((y := conv(x)) + 3.0) * (1.0 / 6.0), y]),
        lambda x: layers.Multiply()([y := conv(x), layers.ReLU(6.0)(layers.Rescaling(1.0, 3.0)(y))]) / 6.0,
    ],
)
def test_hard_swish_is_found(block: Callable[[Any], Any]) -> None:
    made = canonical(network(block))
    assert kinds(made)[1:-2] == ["Conv2D", "BatchNormalization", "HardSwish"]


def test_what_only_looks_like_hard_swish_is_not() -> None:
    def block(x: Any) -> Any:
        y, z = conv(x), conv(x)
        return (y * tf.nn.relu6(z + 3.0) / 6.0) + (y * tf.nn.relu6(y + 2.0) / 6.0) + (z * tf.nn.relu6(z + 3.0) / 5.0)

    assert "HardSwish" not in kinds(canonical(network(block)))


def test_arithmetic_in_front_is_one_rescaling() -> None:
    made = canonical(network(lambda x: relu(x / 127.5 - 1.0)))
    front = made.layers[1]
    assert isinstance(front, layers.Rescaling)
    assert (front.scale, front.offset) == (pytest.approx(1 / 127.5), -1.0)


def test_a_norm_without_a_convolution_gets_one_that_is_not_trained() -> None:
    """Behind a ReLU, behind a convolution whose result is used elsewhere too; not behind one that is its own."""

    def block(x: Any) -> Any:
        y = layers.Conv2D(8, 3, padding="same", name="both")(x)
        z = layers.BatchNormalization(name="second")(y)
        return layers.Add()([y, layers.BatchNormalization(name="third")(layers.ReLU()(z)), conv(x)])

    made = canonical(network(block))
    added = [layer for layer in made.layers if isinstance(layer, layers.DepthwiseConv2D)]
    assert {layer.name for layer in added} == {"second_identity", "third_identity"}
    assert not any(layer.trainable for layer in added)
    assert all(np.array_equal(layer.get_weights()[0], np.ones((1, 1, 8, 1))) for layer in added)


def test_reductions_over_channels_and_space() -> None:
    def block(x: Any) -> Any:
        y = relu(x)
        return y * tf.reduce_mean(y, axis=-1, keepdims=True) * tf.reduce_max(y, axis=(1, 2), keepdims=True)

    made = canonical(network(block))
    assert {"ChannelPooling", "GlobalMaxPooling2D", "Multiply"} < set(kinds(made))


def test_what_is_not_known_stays_as_it_is() -> None:
    blocks: tuple[Callable[[Any], Any], ...] = (
        lambda x: tf.transpose(relu(x), [0, 2, 1, 3]),
        lambda x: tf.reshape(relu(x), (-1, 8)),  # mixes the images of a batch
        lambda x: tf.reduce_mean(relu(x), axis=1),
        lambda x: tf.clip_by_value(relu(x), 1.0, 3.0),
        lambda x: tf.nn.softmax(relu(x), axis=1),
        lambda x: 1.0 / (relu(x) + 1.0),
        lambda x: relu(x) * layers.GlobalMaxPooling2D()(x)[:, :1],
    )
    for block in blocks:
        assert {"TFOpLambda", "SlicingOpLambda"} & set(kinds(canonical(network(block))))


def test_channels_are_followed_through_what_was_rewritten() -> None:
    block = ACCEPTED["squeeze_and_excite_as_in_mobilenet"]
    channels = Channels(canonical(network(lambda x: ACCEPTED["hard swish of operations"](block(x)))))
    assert len(channels.groups) >= 2


def test_a_real_network_in_transfer_learning() -> None:
    """ResNet50V2 has a batch norm before its convolutions; it is nested, and scaled by operations."""
    image = layers.Input((32, 32, 3))
    base = keras.applications.ResNet50V2(weights=None, include_top=False, input_shape=(32, 32, 3))
    pooled = layers.GlobalAveragePooling2D()(base(keras.applications.resnet_v2.preprocess_input(image)))
    model = flatten(randomized(keras.Model(image, layers.Dense(4)(pooled))))
    made = canonical(model)
    assert "TFOpLambda" not in kinds(made)
    assert kinds(made).count("BatchNormalization") == kinds(model).count("BatchNormalization")


def test_a_rewriting_that_changed_what_is_computed_would_be_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HardSwish, "call", lambda self, inputs: inputs)
    with pytest.raises(ModelError, match="changed what it computes") as caught:
        canonical(network(ACCEPTED["hard swish of operations"]))
    assert caught.value.exit_code == 5


def test_pooling_over_channels_says_its_shape() -> None:
    assert ChannelPooling("max").compute_output_shape((None, 4, 5, 6)) == (None, 4, 5, 1)
