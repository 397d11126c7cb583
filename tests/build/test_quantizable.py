"""What can be quantized is int8 all through in the file, and what cannot is named: `check` and the converter agree."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgecnn import InputSpec, targets
from edgecnn.build import converter, fake_quantization
from edgecnn.build.canonical import canonical
from edgecnn.build.custom_layers import ChannelPooling, HardSwish
from edgecnn.build.flatbuffer import inspect
from edgecnn.build.keras import keras, tf
from edgecnn.build.promises import check_promises
from edgecnn.build.quantizable import check, quantization_aware
from edgecnn.errors import ModelError
from tests.build.test_channels import randomized

layers = keras.layers
Block = Callable[[Any], Any]
SPEC = InputSpec(height=12, width=12)
PIXELS = np.random.default_rng(2).integers(0, 256, (16, 12, 12, 3), np.uint8)


@pytest.fixture(autouse=True)
def fresh_session() -> None:
    keras.backend.clear_session()
    keras.utils.set_random_seed(3)


def conv(x: Any, width: int = 8, **settings: Any) -> Any:
    """A convolution and a batch norm, whose values are of both signs."""
    x = layers.Conv2D(width, 3, padding="same", use_bias=False, **settings)(x)
    return layers.BatchNormalization()(x)


def relu(x: Any) -> Any:
    return layers.ReLU()(conv(x))


def network(block: Block) -> Any:
    image = layers.Input(SPEC.shape, name="image")
    x = block(image)
    x = layers.GlobalAveragePooling2D(name="pooling")(x) if len(x.shape) == 4 else x
    return randomized(keras.Model(image, layers.Dense(5, name="logits")(x)))


def join(kind: str) -> Block:
    return lambda x: getattr(layers, kind)()([relu(x), conv(x)])


def activation(name: str) -> Block:
    return lambda x: layers.Activation(name)(conv(x))


def inside(name: str) -> Block:
    return lambda x: layers.Conv2D(6, 3, activation=name)(relu(x))


def behind(layer: Any, block: Block = relu) -> Block:
    """Made when it is called, after the session is fresh."""
    kind, settings = layer
    return lambda x: kind(**settings)(block(x))


def squeeze_and_excite(x: Any) -> Any:
    x = relu(x)
    gate = layers.Dense(4, activation="relu")(layers.GlobalAveragePooling2D()(x))
    return layers.Multiply()([x, layers.Reshape((1, 1, 8))(layers.Dense(8, activation="sigmoid")(gate))])


def squeeze_and_excite_as_in_mobilenet(x: Any) -> Any:
    x = relu(x)
    gate = layers.Conv2D(8, 1)(layers.GlobalAveragePooling2D(keepdims=True)(x))
    return layers.Multiply()([x, layers.ReLU(6.0)(gate + 3.0) * (1.0 / 6.0)])


def attention_in_space(x: Any) -> Any:
    """As in CBAM (Woo et al. 2018, arXiv:1807.06521)."""
    x = relu(x)
    pooled = tf.concat([tf.reduce_mean(x, -1, keepdims=True), tf.reduce_max(x, -1, keepdims=True)], -1)
    return x * layers.Conv2D(1, 3, padding="same", activation="sigmoid")(pooled)


def attention_in_channels(x: Any) -> Any:
    x, dense = relu(x), layers.Dense(8)
    return x * tf.sigmoid(dense(tf.reduce_mean(x, [1, 2], keepdims=True)) + dense(tf.reduce_max(x, [1, 2], True)))


def inception(x: Any) -> Any:
    x = relu(x)
    pooled = layers.AveragePooling2D(3, 1, padding="same")(x)
    return layers.Concatenate()([relu(x), conv(pooled, 4), layers.MaxPooling2D(3, 1, padding="same")(x), pooled])


def dense_block(x: Any) -> Any:
    """As in DenseNet: every batch norm is behind a concatenation."""
    x = relu(x)
    for _ in range(2):
        made = layers.Conv2D(4, 3, padding="same")(layers.ReLU()(layers.BatchNormalization()(x)))
        x = layers.Concatenate()([x, made])
    return layers.AveragePooling2D(2)(x)


def shared(x: Any) -> Any:
    x, twice = relu(x), layers.Conv2D(8, 3, padding="same")
    return layers.Add()([twice(x), twice(twice(x))])


def pre_activated(x: Any) -> Any:
    x = layers.Conv2D(8, 3, padding="same")(x)
    return layers.Add()([x, layers.Conv2D(8, 3, padding="same")(layers.ReLU()(layers.BatchNormalization()(x)))])


def norm_of_a_dense_layer(x: Any) -> Any:
    return layers.ReLU()(layers.BatchNormalization()(layers.Dense(8)(layers.Flatten()(relu(x)))))


ACCEPTED: dict[str, Block] = {
    **{kind: join(kind) for kind in ("Add", "Subtract", "Multiply", "Maximum", "Minimum", "Average", "Concatenate")},
    **{name: activation(name) for name in ("relu", "sigmoid", "hard_sigmoid", "tanh", "swish", "gelu", "softmax")},
    **{f"inside {name}": inside(name) for name in ("relu", "sigmoid", "swish")},
    "relu6": behind((layers.ReLU, {"max_value": 6.0}), conv),
    "relu1": behind((layers.ReLU, {"max_value": 1.0}), conv),
    "leaky": behind((layers.LeakyReLU, {"alpha": 0.1}), conv),
    "prelu": behind((layers.PReLU, {"shared_axes": [1, 2]}), conv),
    "hard swish": behind((HardSwish, {}), conv),
    "hard swish of operations": lambda x: (y := conv(x)) * tf.nn.relu6(y + 3.0) / 6.0,
    "scale": behind((layers.Rescaling, {"scale": 0.7})),
    "scale and offset": behind((layers.Rescaling, {"scale": 0.7, "offset": 0.2})),
    "scale and offset of a vector": lambda x: layers.Rescaling(0.5, 0.2)(layers.GlobalAveragePooling2D()(relu(x))),
    "front": lambda x: relu(x / 127.5 - 1.0),
    "front by channel": lambda x: relu((x - np.float32([0.1, 0.2, 0.3])) / np.float32([0.5, 1.0, 2.0])),
    "normalization": lambda x: relu(layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0])(x)),
    "operations": lambda x: tf.nn.relu6(1.0 - relu(x) * conv(x)) + 3.0,
    "three branches": lambda x: layers.Add()([relu(x), conv(x), relu(x)]),
    "add and relu": lambda x: layers.ReLU()(layers.Add()([conv(x), conv(x)])),
    "depthwise": lambda x: layers.ReLU()(layers.BatchNormalization()(layers.DepthwiseConv2D(3)(relu(x)))),
    "separable": behind((layers.SeparableConv2D, {"filters": 6, "kernel_size": 3, "activation": "relu"})),
    "grouped": behind((layers.Conv2D, {"filters": 6, "kernel_size": 3, "groups": 2})),
    "dilated": behind((layers.Conv2D, {"filters": 6, "kernel_size": 3, "dilation_rate": 2})),
    "average pooling": lambda x: conv(layers.AveragePooling2D(2)(relu(x))),
    "max pooling": lambda x: layers.GlobalMaxPooling2D()(layers.MaxPooling2D(2)(relu(x))),
    "channel pooling": behind((ChannelPooling, {"kind": "mean"})),
    "padding": lambda x: layers.Conv2D(6, 3, strides=2)(layers.ZeroPadding2D(((0, 1), (0, 1)))(relu(x))),
    "nearest": behind((layers.UpSampling2D, {"size": 2})),
    "bilinear": behind((layers.UpSampling2D, {"size": 2, "interpolation": "bilinear"})),
    "flatten": lambda x: layers.Dense(7, activation="relu")(layers.Flatten()(layers.Dropout(0.2)(relu(x)))),
    "concatenation with a tensor of a branch": lambda x: layers.Concatenate()([y := relu(x), relu(y)]),
    "norm behind a relu": behind((layers.BatchNormalization, {})),
    **{
        block.__name__: block
        for block in (
            *(squeeze_and_excite, squeeze_and_excite_as_in_mobilenet, attention_in_space, attention_in_channels),
            *(inception, dense_block, shared, pre_activated, norm_of_a_dense_layer),
        )
    },
}


def scores(file: bytes) -> Any:
    session, found = targets.choose().load(file, threads=1), []
    for pixels in PIXELS:
        session.set_input(pixels[np.newaxis])
        session.invoke()
        found.append(session.output()[0] / 256)
    return np.array(found)


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_is_accepted_is_int8_all_through_and_agrees_with_the_float_network(name: str) -> None:
    model = canonical(network(ACCEPTED[name]))
    check(model)
    aware = fake_quantization.of(model, SPEC)
    fake_quantization.calibrate(aware, model, SPEC, PIXELS)
    images = SPEC.dequantize(PIXELS)
    expected, received = model(images).numpy(), aware(images).numpy()
    assert np.abs(expected - received).max() < 0.05 * np.ptp(expected)
    file = converter.qat_file(aware)
    check_promises(inspect(file), spec=SPEC, zeros={}, float_tensors=())
    two_steps = 2 * np.ptp(received) / 255  # of the logits; a score moves by a quarter of that at most
    assert np.abs(scores(file) - tf.nn.softmax(received).numpy()).max() < two_steps / 4 + 1 / 128


def nested(x: Any) -> Any:
    inner = layers.Input(SPEC.shape)
    return keras.Model(inner, relu(inner), name="culprit")(x)


class Own(layers.Layer):  # type: ignore[misc]
    def call(self, inputs: Any) -> Any:
        return inputs * 2.0


def culprit(kind: Any, **settings: Any) -> Block:
    return lambda x: kind(**settings, name="culprit")(relu(x))


def tokens(x: Any) -> Any:
    return layers.Reshape((12, 36))(x)


def ceiling(x: Any) -> Any:
    return layers.Concatenate()([layers.ReLU(1.0, name="culprit")(conv(x)), relu(x)])


REFUSED: dict[str, tuple[Block, str]] = {
    "lambda": (culprit(layers.Lambda, function=lambda x: x * 2.0), "layers of Keras"),
    "own": (culprit(Own), "layers of Keras"),
    "nested": (nested, "flatten"),
    "operation": (lambda x: tf.transpose(relu(x), [0, 2, 1, 3]), "a layer of Keras"),
    "layer norm": (culprit(layers.LayerNormalization), "BatchNormalization behind"),
    "elu": (culprit(layers.ELU), "LeakyReLU"),
    "elu inside": (culprit(layers.Conv2D, filters=4, kernel_size=1, activation="elu"), "relu, sigmoid"),
    "selu": (culprit(layers.Activation, activation="selu"), "relu, sigmoid"),
    "threshold": (culprit(layers.ReLU, threshold=1.0), "a ceiling"),
    "transposed": (culprit(layers.Conv2DTranspose, filters=4, kernel_size=3), "UpSampling2D"),
    "conv1d": (lambda x: layers.Conv1D(4, 3, name="culprit")(tokens(x)), "Conv2D"),
    "recurrent": (lambda x: layers.LSTM(4, name="culprit")(tokens(x)), "convolutions"),
    "attention": (lambda x: layers.Attention(name="culprit")([y := tokens(x), y]), "squeeze-and-excite"),
    "norm of an axis": (culprit(layers.BatchNormalization, axis=1), "a Conv2D without bias"),
    "images": (lambda x: layers.Concatenate(name="culprit")([x, relu(x)]), "a convolution or a pooling"),
    "ceiling": (ceiling, "the ceiling 6"),
    "half": (culprit(layers.Conv2D, filters=4, kernel_size=1, dtype="float16"), "float32"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_named_with_what_to_write_instead(name: str) -> None:
    block, remedy = REFUSED[name]
    model = canonical(network(block))
    with pytest.raises(ModelError) as caught:
        check(model)
    assert caught.value.exit_code == 5
    assert "1 layer cannot be int8" in caught.value.message
    given = "tf.compat.v1.transpose" if name == "operation" else "culprit"
    assert str(caught.value.received).startswith(f"{given} (")
    assert f"instead of {given}: " in caught.value.remedy
    assert remedy in caught.value.remedy
    with pytest.raises(ModelError):
        quantization_aware(model)


def test_every_layer_that_is_in_the_way_is_named_at_once() -> None:
    def block(x: Any) -> Any:
        x = layers.LayerNormalization(name="second")(layers.ELU(name="first")(relu(x)))
        return layers.LayerNormalization(name="third")(x)

    with pytest.raises(ModelError, match="3 layers cannot be int8") as caught:
        check(canonical(network(block)))
    assert all(name in str(caught.value.received) for name in ("first (ELU", "second (Layer", "third (Layer"))
    assert "instead of second, third: " in caught.value.remedy


def deep(x: Any) -> Any:
    for _ in range(50):
        x = layers.Add()([x, relu(x)]) if x.shape[-1] == 8 else relu(x)
    return x


def test_the_check_of_a_deep_network_builds_and_computes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = network(deep)
    assert len(model.layers) > 200

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("something was built")

    for owner, name in ((layers.Layer, "__init__"), (layers.Layer, "__call__"), (tf.Variable, "__init__")):
        monkeypatch.setattr(owner, name, refuse)
    monkeypatch.setattr(tf, "function", refuse)
    check(model)


def test_what_is_concatenated_alone_shares_a_range_and_what_is_used_elsewhere_has_its_own() -> None:
    """The first needs no cast in the file, the second does."""
    counts = []
    for name in ("Concatenate", "concatenation with a tensor of a branch"):
        keras.backend.clear_session()
        aware = fake_quantization.of(canonical(network(ACCEPTED[name])), SPEC)
        outputs = [v.name for v in aware.variables if "output_max" in v.name]
        counts.append(sum(name.startswith("quant_re_lu") for name in outputs))
    assert counts == [0, 2]


def test_zeros_of_kernels_stay_zeros_whatever_follows() -> None:
    """Directly before a ReLU, where tfmot itself rounds no kernel, and before a batch norm."""
    model = network(lambda x: layers.ReLU()(layers.Conv2D(8, 3, name="plain")(relu(x))))
    for layer in (model.get_layer("plain"), model.get_layer("conv2d"), model.get_layer("logits")):
        kernel, *rest = layer.get_weights()
        layer.set_weights([np.where(np.abs(kernel) < 0.3, 0, kernel), *rest])
    masks = {n: model.get_layer(n).kernel.numpy() == 0 for n in ("plain", "conv2d", "logits")}
    aware = fake_quantization.of(model, SPEC)
    aware.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    aware.fit(SPEC.dequantize(PIXELS), np.arange(16) % 5, verbose=0)
    check_promises(inspect(converter.qat_file(aware)), spec=SPEC, zeros=masks, float_tensors=())


@pytest.mark.parametrize(
    "kept", [("first", "first_bn", "first_relu"), ("second",), ("third", "third_relu"), ("logits",)]
)
def test_a_layer_stays_in_float_wherever_it_is(kept: tuple[str, ...]) -> None:
    def block(x: Any) -> Any:
        first = layers.Conv2D(8, 3, padding="same", name="first")(x)
        first = layers.ReLU(name="first_relu")(layers.BatchNormalization(name="first_bn")(first))
        x = layers.Add()([first, layers.Conv2D(8, 3, padding="same", name="second")(first)])
        return layers.ReLU(name="third_relu")(layers.DepthwiseConv2D(3, name="third")(x))

    model = network(block)
    aware = fake_quantization.of(model, SPEC, float_layers=frozenset(kept))
    fake_quantization.calibrate(aware, model, SPEC, PIXELS)
    expected = model(SPEC.dequantize(PIXELS)).numpy()
    assert np.abs(expected - aware(SPEC.dequantize(PIXELS)).numpy()).max() < 0.05 * np.ptp(expected)
    facts = inspect(converter.qat_file(aware))
    check_promises(facts, spec=SPEC, zeros={}, float_tensors=(), float_operators=1)


def test_it_is_the_same_whenever_it_is_made() -> None:
    model = canonical(network(inception))
    first, second = quantization_aware(model), quantization_aware(model)
    assert [layer.name for layer in first.layers] == [layer.name for layer in second.layers]
    assert [v.name for v in first.variables] == [v.name for v in second.variables]
    assert {f"quant_{layer.name}" for layer in model.layers} <= {layer.name for layer in first.layers}
    assert all(np.array_equal(a, b) for a, b in zip(first.get_weights(), second.get_weights(), strict=True))


@pytest.mark.slow
def test_mobilenet_v3() -> None:
    """The real network: squeeze-and-excite, hard-swish of operations, two kinds of residual blocks."""
    spec = InputSpec(height=64, width=64, scale=1.0, zero_point=0)
    settings = {"input_shape": spec.shape, "weights": None, "classes": 5, "classifier_activation": None}
    model = canonical(keras.applications.MobileNetV3Small(**settings))
    check(model)
    aware = fake_quantization.of(model, spec)
    fake_quantization.calibrate(
        aware, model, spec, np.random.default_rng(1).integers(0, 256, (4, *spec.shape), np.uint8)
    )
    check_promises(inspect(converter.qat_file(aware)), spec=spec, zeros={}, float_tensors=())
    assert sum(isinstance(layer, HardSwish) for layer in model.layers) == 19
