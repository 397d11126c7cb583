"""Networks inside networks, as transfer learning makes them, and what is left when they are taken apart."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgecnn.build.flatten import flatten
from edgecnn.errors import ModelError

SIZE = (16, 16, 3)


@pytest.fixture(autouse=True)
def fresh_session() -> None:
    from edgecnn.build.keras import keras

    keras.backend.clear_session()
    keras.utils.set_random_seed(5)


def layers() -> Any:
    from edgecnn.build.keras import keras

    return keras.layers


def network(*ends: Any, name: str | None = None) -> Any:
    """A functional model with weights, batch norm's too, that are not those of a beginning."""
    from edgecnn.build.keras import keras

    model = keras.Model(*ends, name=name)
    random = np.random.default_rng(11)
    model.set_weights([random.uniform(0.1, 0.9, array.shape) for array in model.get_weights()])
    return model


def small_base(name: str = "base", size: tuple[int | None, ...] = SIZE) -> Any:
    """One inverted residual block as in MobileNetV2."""
    image = layers().Input(size, name=f"{name}_image")
    stem = layers().ReLU(6.0, name="relu")(layers().BatchNormalization(name="bn")(convolution("conv1", 8)(image)))
    middle = layers().DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(stem)
    middle = layers().Dropout(0.4, name="dropout")(layers().BatchNormalization(name="depthwise_bn")(middle))
    return network(image, layers().Add(name="add")([stem, convolution("project", 8)(middle)]), name=name)


def convolution(name: str, filters: int) -> Any:
    return layers().Conv2D(filters, 3, padding="same", use_bias=False, name=name)


def classifier(tensor: Any, classes: int = 4) -> Any:
    return layers().Dense(classes, name="scores")(layers().GlobalAveragePooling2D(name="pooling")(tensor))


def transfer(base: Any, **arguments: Any) -> Any:
    image = layers().Input(SIZE, name="image")
    return network(image, classifier(base(image, **arguments)), name="transfer")


def pictures(count: int = 3, seed: int = 0) -> Any:
    return np.random.default_rng(seed).uniform(-1, 1, (count, *SIZE)).astype(np.float32)


def names(model: Any) -> list[str]:
    return [layer.name for layer in model.layers]


def flattened(model: Any) -> Any:
    """The flat model, of which all is asserted that is true of every one."""
    from edgecnn.build.keras import keras

    weights = [array.copy() for array in model.get_weights()]
    config = model.get_config()
    flat = flatten(model)
    images = pictures()
    assert np.array_equal(model(images, training=False), flat(images, training=False))
    assert not any(isinstance(layer, keras.Model) for layer in flat.layers)
    assert [layer.name for layer in flat.layers if isinstance(layer, layers().InputLayer)] == flat.input_names
    assert flat.input_names == model.input_names
    assert len(set(names(flat))) == len(flat.layers)
    assert not {id(variable) for variable in flat.variables} & {id(variable) for variable in model.variables}
    assert model.get_config() == config
    assert all(np.array_equal(a, b) for a, b in zip(weights, model.get_weights(), strict=True))
    assert names(flatten(model)) == names(flat)
    return flat


def train_once(model: Any) -> None:
    from edgecnn.build.keras import keras

    model.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(pictures(8), np.arange(8) % 4, batch_size=8, epochs=1, verbose=0)


def refused(model: Any) -> ModelError:
    with pytest.raises(ModelError) as caught:
        flatten(model)
    assert caught.value.exit_code == 5
    assert caught.value.received
    assert caught.value.accepted
    assert caught.value.remedy
    return caught.value


def test_a_flat_model_is_copied_layer_by_layer() -> None:
    model = small_base()
    assert names(flattened(model)) == names(model)


def test_transfer_learning_keeps_the_names_of_the_base() -> None:
    flat = flattened(transfer(small_base()))
    inner = ["conv1", "bn", "relu", "depthwise", "depthwise_bn", "dropout", "project", "add"]
    assert names(flat) == ["image", *inner, "pooling", "scores"]
    assert flat.name == "transfer"


def test_a_call_for_inference_freezes_batch_norm_and_drops_dropout() -> None:
    flat = flattened(transfer(small_base(), training=False))
    assert "dropout" not in names(flat)
    untrainable = {layer.name for layer in flat.layers if not layer.trainable}
    assert untrainable == {"bn", "depthwise_bn"}


@pytest.mark.parametrize("arguments", [(False,), (0,), (np.False_,)])
def test_the_argument_may_stand_in_its_place_and_be_any_false(arguments: tuple[Any, ...]) -> None:
    image = layers().Input(SIZE)
    flat = flattened(network(image, classifier(small_base()(image, *arguments))))
    assert not flat.get_layer("bn").trainable


def test_none_for_training_says_nothing() -> None:
    flat = flattened(transfer(small_base(), training=None))
    assert flat.get_layer("bn").trainable
    assert "dropout" in names(flat)


def test_a_frozen_batch_norm_does_not_move_when_the_others_do() -> None:
    image = layers().Input(SIZE, name="image")
    head = layers().BatchNormalization(name="head_bn")(small_base()(image, training=False))
    flat = flattened(network(image, classifier(head)))
    before = {layer.name: layer.get_weights() for layer in flat.layers}
    train_once(flat)
    moved = {
        name
        for name, weights in before.items()
        if not all(np.array_equal(a, b) for a, b in zip(weights, flat.get_layer(name).get_weights(), strict=True))
    }
    assert moved == {"conv1", "depthwise", "project", "head_bn", "scores"}
    statistics = zip(before["head_bn"][2:], flat.get_layer("head_bn").get_weights()[2:], strict=True)
    assert not any(np.array_equal(a, b) for a, b in statistics)


def test_training_the_flat_model_is_training_the_nested_one() -> None:
    base = small_base()
    base.trainable = False
    model = transfer(base, training=False)
    flat = flattened(model)
    assert [v.name for v in flat.trainable_variables] == [v.name for v in model.trainable_variables]
    train_once(model)
    train_once(flat)
    assert np.array_equal(model(pictures(), training=False), flat(pictures(), training=False))


def test_what_is_not_trainable_stays_so() -> None:
    base = small_base()
    base.trainable = False
    base.get_layer("conv1").trainable = True  # the base's own flag outweighs it
    model = transfer(base)
    model.get_layer("scores").trainable = False
    flat = flattened(model)
    assert not flat.trainable_variables
    assert not model.trainable_variables


def test_two_levels() -> None:
    inner = small_base("inner")
    image = layers().Input(SIZE)
    outer = network(image, convolution("conv1", 5)(inner(image)), name="outer")
    flat = flattened(transfer(outer, training=False))
    assert {"outer_inner_conv1", "outer_conv1", "bn", "scores"} < set(names(flat))
    assert not flat.get_layer("bn").trainable
    assert flat.get_layer("outer_conv1").trainable


@pytest.mark.parametrize("first", [{"input_shape": SIZE}, {}])
def test_a_sequential_in_a_functional_model(first: dict[str, Any]) -> None:
    from edgecnn.build.keras import keras

    inside = keras.Sequential([layers().Conv2D(4, 3, name="conv1", **first), layers().ReLU(name="relu")], name="stem")
    flat = flattened(transfer(inside))
    assert names(flat) == ["image", "conv1", "relu", "pooling", "scores"]


def test_a_sequential_of_models_becomes_functional() -> None:
    from edgecnn.build.keras import keras

    tail = keras.Sequential([layers().GlobalAveragePooling2D(), layers().Dense(4)])
    model = keras.Sequential([layers().Input(SIZE), small_base(), layers().Conv2D(2, 1, name="conv1"), tail])
    flat = flattened(model)
    assert not isinstance(flat, keras.Sequential)
    assert {"base_conv1", "conv1"} < set(names(flat))


@pytest.mark.parametrize("join", ["Add", "Concatenate"])
def test_a_model_that_is_used_twice_keeps_one_set_of_weights(join: str) -> None:
    base, image = small_base(), layers().Input(SIZE, name="image")
    mirrored = layers().Cropping2D(2, name="crop")(layers().ZeroPadding2D(2, name="pad")(image)[:, :, ::-1])
    both = getattr(layers(), join)(name="join")([base(image), base(mirrored * 0.5)])
    model = network(image, classifier(both))
    flat = flattened(model)
    assert flat.count_params() == model.count_params()
    assert len(flat.get_layer("conv1").inbound_nodes) == 2


def test_a_layer_that_is_called_twice_stays_one() -> None:
    image = layers().Input(SIZE)
    shared = convolution("shared", 3)
    flat = flattened(network(image, classifier(layers().Add()([shared(image), shared(shared(image))]))))
    assert len(flat.get_layer("shared").inbound_nodes) == 3


def test_operations_and_constants() -> None:
    from edgecnn.build.keras import tf

    image = layers().Input(SIZE, name="inner_image")
    tensor = tf.nn.relu6(image * 2.0 + np.float32([0.5, 0.25, 1.0])) - image
    left, right = tf.split(tf.concat([1.0 - tensor, tensor[:, :, ::-1]], axis=-1), 2, axis=-1)
    inside = network(image, tf.clip_by_value(left, clip_value_min=-1.0, clip_value_max=right), name="inside")
    flat = flattened(transfer(inside))
    assert "tf.nn.relu6" in names(flat)


def test_arguments_by_name_and_several_of_them() -> None:
    image = layers().Input(SIZE)
    tokens = layers().Reshape((64, 12))(image)
    attention = layers().MultiHeadAttention(2, 4, name="attention")
    mixed = attention(tokens, value=tokens * 0.5, key=layers().Dense(12)(tokens), use_causal_mask=True)
    mixed = layers().Concatenate(axis=1)(inputs=[tokens, mixed])
    inside = network(image, mixed, name="inside")
    outer = layers().Input(SIZE)
    scores = layers().Dense(4)(layers().Flatten()(inside(inputs=outer)))
    flattened(network(outer, scores))


def test_a_layer_with_a_training_mode_of_its_own_is_told_that_it_is_inference() -> None:
    image = layers().Input(SIZE)
    tokens = layers().Reshape((64, 12))(image)
    inside = network(image, layers().MultiHeadAttention(2, 4, dropout=0.5)(tokens, tokens), name="inside")
    outer = layers().Input(SIZE)
    flat = flattened(network(outer, layers().Flatten()(inside(outer, training=False))))
    assert np.array_equal(flat(pictures(), training=True), flat(pictures(), training=False))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("RandomBrightness", {"factor": 0.2}),
        ("RandomContrast", {"factor": 0.2}),
        ("RandomFlip", {}),
        ("RandomHeight", {"factor": 0.2}),
        ("RandomRotation", {"factor": 0.2}),
        ("RandomTranslation", {"height_factor": 0.2, "width_factor": 0.2}),
        ("RandomWidth", {"factor": 0.2}),
        ("RandomZoom", {"height_factor": 0.2}),
    ],
)
def test_augmentation_is_left_out(name: str, settings: dict[str, Any]) -> None:
    from edgecnn.build.keras import keras

    augmentation = keras.Sequential([layers().Input(SIZE), getattr(layers(), name)(**settings)], name="augmentation")
    image = layers().Input(SIZE, name="image")
    flat = flattened(network(image, classifier(layers().Conv2D(4, 3, name="conv")(augmentation(image)))))
    assert names(flat) == ["image", "conv", "pooling", "scores"]


def test_a_crop_that_resizes_at_inference_stays() -> None:
    assert "crop" in names(flattened(transfer(layers().RandomCrop(8, 8, name="crop"))))


def test_an_adapted_normalization_keeps_what_it_has_learned() -> None:
    from edgecnn.build.keras import keras

    normalization = layers().Normalization()
    normalization.adapt(pictures(8, seed=1) * 3 + 1)
    inside = keras.Sequential([layers().Input(SIZE), normalization])
    image = layers().Input(SIZE)
    flattened(keras.Model(image, classifier(inside(image))))


def test_names_that_repeat_get_those_of_their_models() -> None:
    image = layers().Input(SIZE, name="conv1")
    left, right = small_base("left")(image), small_base("right")(image)
    taken = layers().ReLU(name="left_bn")(layers().Add(name="relu")([left, right]))
    flat = flattened(network(image, classifier(taken)))
    assert {"left_conv1", "right_conv1", "left_relu", "right_relu", "relu", "left_bn", "left_bn_1"} < set(names(flat))


def test_a_base_of_any_size_in_a_model_of_one() -> None:
    flattened(transfer(small_base(size=(None, None, 3))))


def test_bytes_and_a_fixed_batch_may_go_in() -> None:
    image = layers().Input(SIZE, batch_size=1, dtype="uint8")
    model = network(image, classifier(small_base()(layers().Rescaling(1 / 128, offset=-1.0)(image))))
    flat = flatten(model)
    image = np.random.default_rng(0).integers(0, 256, (1, *SIZE), np.uint8)
    assert flat.input_shape == (1, *SIZE)
    assert np.array_equal(model(image), flat(image))


def test_tfmot_takes_the_flat_model_and_not_the_nested_one() -> None:
    from edgecnn.build.keras import tfmot

    quantization = tfmot.quantization.keras
    model = transfer(small_base(), training=False)
    with pytest.raises(ValueError, match="Model inside another"):
        quantization.quantize_apply(quantization.quantize_annotate_model(model))
    aware = quantization.quantize_apply(quantization.quantize_annotate_model(flatten(model)))
    norm = aware.get_layer("quant_bn")
    before = norm.layer.get_weights()
    train_once(aware)
    assert all(np.array_equal(a, b) for a, b in zip(before, norm.layer.get_weights(), strict=True))
    tfmot.sparsity.keras.prune_low_magnitude(flatten(model))


def test_mobilenet_in_transfer_learning() -> None:
    from edgecnn.build.keras import keras

    base = keras.applications.MobileNetV2(weights=None, input_shape=(96, 96, 3), alpha=0.35, include_top=False)
    image = layers().Input((96, 96, 3))
    scaled = keras.applications.mobilenet_v2.preprocess_input(layers().RandomFlip()(image))
    model = keras.Model(image, classifier(base(scaled, training=False)))
    flat = flatten(model)
    noise = np.random.default_rng(1).uniform(0, 255, (2, 96, 96, 3)).astype(np.float32)
    assert np.array_equal(model(noise, training=False), flat(noise, training=False))
    assert {layer.name for layer in base.layers[1:]} < set(names(flat))


def subclassed() -> Any:
    from edgecnn.build.keras import keras

    class Own(keras.Model):  # type: ignore[misc]
        def call(self, image: Any) -> Any:
            return image * 2.0

    return transfer(Own(name="culprit"))


def several_outputs() -> Any:
    image, other = layers().Input(SIZE), layers().Input(SIZE)
    culprit = network([image, other], layers().Add()([image, other]), name="culprit")
    outer = layers().Input(SIZE)
    return network(outer, classifier(culprit([outer, outer])))


def never_built() -> Any:
    from edgecnn.build.keras import keras

    return keras.Sequential([layers().Dense(2)], name="culprit")


def any_size() -> Any:
    return small_base("culprit", size=(None, None, 3))


def losses() -> Any:
    from edgecnn.build.keras import tf

    model = small_base("culprit")
    model.add_loss(tf.reduce_mean(model.output))
    return model


def random_at_inference() -> Any:
    image = layers().Input(SIZE)
    return network(image, classifier(layers().Dropout(0.5, name="culprit")(image, training=True)))


def training_that_is_a_tensor() -> Any:
    from edgecnn.build.keras import tf

    image = layers().Input(SIZE)
    inside = layers().Input(SIZE)
    culprit = network(inside, layers().ReLU()(inside), name="culprit")
    return network(image, classifier(culprit(image, training=tf.reduce_mean(image) > 0)))


def a_mask() -> Any:
    image = layers().Input(SIZE)
    return network(image, classifier(small_base("culprit")(image, mask=image[..., 0] > 0)))


def frozen_and_not() -> Any:
    image, culprit = layers().Input(SIZE), layers().BatchNormalization(name="culprit")
    return network(image, classifier(culprit(culprit(image, training=False))))


def no_config() -> Any:
    class Own(layers().Layer):  # type: ignore[misc]
        def __init__(self, function: Callable[[Any], Any], name: str) -> None:
            super().__init__(name=name)
            self.function = function

        def call(self, image: Any) -> Any:
            return self.function(image)

    return transfer(Own(lambda image: image * 2.0, name="culprit"))


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (subclassed, "is not a functional or Sequential model"),
        (never_built, "is not a functional or Sequential model"),
        (several_outputs, "several inputs or outputs"),
        (any_size, "takes images of any size"),
        (losses, "adds losses"),
        (random_at_inference, "called with training=True"),
        (training_that_is_a_tensor, "called with training="),
        (a_mask, "called with a mask"),
        (frozen_and_not, "frozen in one call and not in another"),
        (no_config, "cannot be rebuilt"),
    ],
)
def test_what_cannot_be_flattened_is_named(broken: Callable[[], Any], reason: str) -> None:
    error = refused(broken())
    assert error.message.startswith("This network cannot be flattened: culprit ")
    assert reason in error.message


def test_a_copy_that_computes_something_else_is_refused() -> None:
    class Stateful(layers().Layer):  # type: ignore[misc]
        factor = 1.0

        def call(self, image: Any) -> Any:
            return image * self.factor

    layer = Stateful()
    layer.factor = 2.0
    assert "changed what the network computes" in refused(transfer(layer)).message
