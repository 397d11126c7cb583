"""A network that somebody else has trained, from its file to a proved bundle."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgecnn import Bundle, Classifier
from edgecnn.build import (
    Convert,
    Folder,
    Gate,
    InputSpec,
    Recipe,
    SeparableNet,
    SplitRule,
    Train,
    Verify,
    own,
    pipeline,
)
from edgecnn.build.ends import bare
from edgecnn.build.flatten import flatten
from edgecnn.errors import EdgecnnError, ModelError, UsageError
from edgecnn.evaluation import evaluate

SIZE = (16, 16, 3)
CLASSES = ("blue", "green", "red")


@pytest.fixture(autouse=True)
def fresh_session() -> None:
    from edgecnn.build.keras import keras

    keras.backend.clear_session()
    keras.utils.set_random_seed(5)


def layers() -> Any:
    from edgecnn.build.keras import keras

    return keras.layers


def network(body: Callable[[Any], Any], size: tuple[int | None, ...] = SIZE, **image: Any) -> Any:
    """A functional model with weights that are not those of a beginning."""
    from edgecnn.build.keras import keras

    given = layers().Input(size, name="image", **image)
    model = keras.Model(given, body(given), name="own")
    random = np.random.default_rng(11)
    for layer in model.layers:
        if not isinstance(layer, layers().Normalization):
            layer.set_weights([random.uniform(-0.5, 0.9, array.shape) ** 2 for array in layer.get_weights()])
    return model


def features(tensor: Any) -> Any:
    return layers().GlobalAveragePooling2D()(layers().Conv2D(4, 3, name="conv", activation="relu")(tensor))


def scores(tensor: Any, activation: str = "softmax") -> Any:
    return layers().Dense(3, name="scores", activation=activation)(features(tensor))


def softmax(logits: Any) -> Any:
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


def pixels(count: int = 3, channels: int = 3) -> Any:
    return np.random.default_rng(0).integers(0, 256, (count, *SIZE[:2], channels)).astype(np.float32)


def names(model: Any) -> list[str]:
    return [layer.name for layer in model.layers]


# --- the two ends


def by_activation(tensor: Any) -> Any:
    return scores(tensor)


def by_layer(tensor: Any) -> Any:
    return layers().Softmax(name="end")(scores(tensor, "linear"))


def by_activation_layer(tensor: Any) -> Any:
    return layers().Activation("softmax", name="end")(layers().Dropout(0.2)(scores(tensor, "linear")))


def by_operation(tensor: Any) -> Any:
    from edgecnn.build.keras import tf

    return tf.nn.softmax(scores(tensor, "linear"), name="end")


@pytest.mark.parametrize("end", [by_activation, by_layer, by_activation_layer, by_operation])
def test_a_softmax_at_the_end_is_taken_off(end: Callable[[Any], Any]) -> None:
    model = network(end)
    between = bare(flatten(model)).model
    assert "end" not in names(between)
    assert np.allclose(softmax(between(pixels()).numpy()), model(pixels()), atol=1e-5)
    assert not np.allclose(between(pixels()).numpy().sum(axis=1), 1)


def test_logits_stay_as_they_are() -> None:
    model = network(lambda tensor: scores(tensor, "linear"))
    assert np.array_equal(bare(flatten(model)).model(pixels()), model(pixels()))


def sigmoid(tensor: Any) -> Any:
    return scores(tensor, "sigmoid")


def sigmoid_layer(tensor: Any) -> Any:
    return layers().Activation("sigmoid")(scores(tensor, "linear"))


def hidden_softmax(tensor: Any) -> Any:
    return layers().Reshape((3,))(scores(tensor))


def a_map(tensor: Any) -> Any:
    return layers().Conv2D(3, 3)(tensor)


@pytest.mark.parametrize(
    ("end", "said"), [(sigmoid, "sigmoid"), (sigmoid_layer, "sigmoid"), (hidden_softmax, "sum to 1"), (a_map, "14, 14")]
)
def test_what_are_no_scores_is_refused(end: Callable[[Any], Any], said: str) -> None:
    with pytest.raises(ModelError) as caught:
        bare(flatten(network(end)))
    assert said in str(caught.value.received)
    assert caught.value.accepted
    assert caught.value.remedy


def rescaled(scale: Any, offset: Any = 0.0) -> Callable[[Any], Any]:
    return lambda tensor: scores(layers().Rescaling(scale, offset, name="front")(tensor))


def of_mobilenet(tensor: Any) -> Any:
    from edgecnn.build.keras import keras

    return scores(keras.applications.mobilenet_v2.preprocess_input(tensor))


def cast_and_halved(tensor: Any) -> Any:
    from edgecnn.build.keras import tf

    return scores((tf.cast(tensor, tf.float32) + 2.0) * 0.5)


def normalized(tensor: Any) -> Any:
    return scores(layers().Normalization(axis=None, mean=100.0, variance=2500.0)(tensor))


@pytest.mark.parametrize(
    ("front", "scale", "offset"),
    [
        (rescaled(1 / 255), 1 / 255, 0.0),
        (rescaled(1 / 127.5, -1), 1 / 127.5, -1.0),
        (rescaled([1 / 255] * 3), 1 / 255, 0.0),
        (of_mobilenet, 1 / 127.5, -1.0),
        (cast_and_halved, 0.5, 1.0),
        (normalized, 0.02, -2.0),
    ],
)
def test_arithmetic_at_the_front_becomes_scale_and_offset(front: Any, scale: float, offset: float) -> None:
    model = network(front)
    between = bare(flatten(model))
    assert (between.scale, between.offset) == pytest.approx((scale, offset))
    assert names(between.model)[:2] == ["image", "conv"]
    assert np.allclose(softmax(between.model(pixels() * scale + offset).numpy()), model(pixels()), atol=1e-4)


def test_several_at_the_front_are_one() -> None:
    def front(tensor: Any) -> Any:
        tensor = layers().Rescaling(1 / 255)(tensor)
        return scores(layers().Normalization(axis=None, mean=0.5, variance=0.25)(tensor))

    between = bare(flatten(network(front)))
    assert (between.scale, between.offset) == pytest.approx((1 / 127.5, -1.0))


def test_what_differs_by_channel_stays_in_the_network() -> None:
    def front(tensor: Any) -> Any:
        tensor = layers().Rescaling(1 / 255)(tensor)
        return scores(layers().Normalization(name="stays", mean=[0.4, 0.5, 0.6], variance=[0.1, 0.2, 0.3])(tensor))

    model = network(front)
    between = bare(flatten(model))
    assert (between.scale, between.offset) == pytest.approx((1 / 255, 0.0))
    assert names(between.model)[1] == "stays"
    assert np.allclose(softmax(between.model(pixels() / 255).numpy()), model(pixels()), atol=1e-5)


def test_an_image_that_is_taken_twice_keeps_its_arithmetic() -> None:
    def front(tensor: Any) -> Any:
        return scores(layers().Concatenate()([layers().Rescaling(1 / 255, name="stays")(tensor), tensor]))

    between = bare(flatten(network(front)))
    assert (between.scale, between.offset) == (1.0, 0.0)
    assert "stays" in names(between.model)


def test_a_skip_around_the_rest_takes_from_the_image_then() -> None:
    def front(tensor: Any) -> Any:
        tensor = layers().Rescaling(1 / 255)(tensor)
        return scores(layers().Conv2D(3, 1)(tensor) * 0.5 + tensor)

    model = network(front)
    between = bare(flatten(model))
    assert between.scale == pytest.approx(1 / 255)
    assert np.allclose(softmax(between.model(pixels() / 255).numpy()), model(pixels()), atol=1e-5)


def test_a_fixed_batch_and_bytes_become_any_number_of_floats() -> None:
    model = network(rescaled(1 / 255), batch_size=1, dtype="uint8")
    between = bare(flatten(model)).model
    assert between.input_shape == (None, *SIZE)
    assert between(pixels(5) / 255).dtype == "float32"


def test_channels_first_is_refused() -> None:
    with pytest.raises(ModelError) as caught:
        bare(network(lambda tensor: layers().Dense(3)(layers().Flatten()(tensor)), size=(3, 16, 16)))
    assert "channels_last" in caught.value.remedy


# --- what its input means


def written(model: Any, folder: Path, suffix: str = "h5") -> Path:
    model.save(folder / f"own.{suffix}")
    return folder / f"own.{suffix}"


@pytest.mark.parametrize(
    ("front", "expected"),
    [
        (None, {"0..255": (1.0, 0), "0..1": (1 / 255, 0), "-1..1": (1 / 127.5, 128)}),
        (rescaled(1 / 255), {"0..255": (1 / 255, 0), "0..1": (1 / 255**2, 0), "-1..1": (1 / 255 / 127.5, 128)}),
        (rescaled(1 / 127.5, -1), {"0..255": (1 / 127.5, 128)}),
        (rescaled(-1.0), {}),
    ],
)
def test_an_input_for_each_range(front: Any, expected: dict[str, Any], tmp_path: Path) -> None:
    model, specs = own.Own.of(written(network(front or scores), tmp_path)).network()
    assert {name: (spec.scale, spec.zero_point) for name, spec in specs.items()} == {
        name: (pytest.approx(scale), zero_point) for name, (scale, zero_point) in expected.items()
    }
    assert all(spec.shape == model.input_shape[1:] for spec in specs.values())


def colors(folder: Path, count: int = 40) -> Path:
    """Photos of blue, green and red, which a network of a few weights can tell apart, if it sees them as they are."""
    random = np.random.default_rng(3)
    for label, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            photo = random.integers(0, 150, (20, 20, 3))
            photo[:, :, label] += 60  # OpenCV writes blue first
            cv2.imwrite(str(folder / name / f"{number}.png"), photo.astype(np.uint8))
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return colors(tmp_path_factory.mktemp("photos") / "colors")


def recipe_of(photos: Path, **changes: Any) -> Recipe:
    recipe = Recipe(
        name="colors",
        data=Folder(path=str(photos), rule=SplitRule(validation=0.2, calibration=0.15, test=0.3)),
        input=InputSpec(height=96, width=96, resize="center_crop"),
        architecture=SeparableNet(),
        stages=(Train(epochs=1), Convert(), Verify(runs=3)),
        gates=(Gate(name="agreement", limit=0.9),),
    )
    return replace(recipe, **changes)


def by_average(scale: float, offset: float, channels: int = 3) -> Any:
    """Right of `colors` where it sees a pixel times ``scale`` plus ``offset``: its bias is as it must be for that."""
    model = network(lambda tensor: layers().Dense(3, activation="softmax")(layers().GlobalAveragePooling2D()(tensor)))
    # blue wins unless green or red is brighter than the middle between 75 and 135
    kernel = np.array([[0, 0, 8], [0, 8, 0], [0, 0, 0]], np.float32) / scale
    bias = -8 * (105 * scale + offset) / scale
    model.layers[-1].set_weights([kernel, np.array([0, bias, bias], np.float32)])
    return model


@pytest.mark.parametrize(
    ("name", "scale", "offset"), [("0..255", 1, 0), ("0..1", 1 / 255, 0), ("-1..1", 1 / 127.5, -1)]
)
def test_the_range_is_found_said_kept_and_recorded(
    name: str, scale: float, offset: float, photos: Path, tmp_path: Path, progress: Any, monkeypatch: Any
) -> None:
    path = written(by_average(scale, offset), tmp_path)
    recipe = own.adopted(recipe_of(photos), path, None, progress)
    assert [stage.name for stage in recipe.stages] == ["adopt", "convert", "verify"]
    adopt: Any = recipe.stages[0]
    assert adopt.input_range == name
    assert adopt.tried[name] > 0.9
    assert all(accuracy < 0.9 for other, accuracy in adopt.tried.items() if other != name)
    assert recipe.input == InputSpec(
        height=16, width=16, scale=pytest.approx(scale), zero_point=round(-offset * 127.5 + 0.1), resize="center_crop"
    )
    assert any(f"{name} is taken" in line for line in progress.lines)
    assert json.dumps(recipe.settings()).count(f'"input_range": "{name}"') == 1

    monkeypatch.setattr(own.Own, "network", lambda self: pytest.fail("it was found before"))
    said = list(progress.lines)
    assert own.adopted(recipe_of(photos), path, None, progress) == recipe
    assert progress.lines == said * 2


def test_the_range_that_is_said_is_taken_untried(photos: Path, tmp_path: Path, progress: Any) -> None:
    recipe = own.adopted(recipe_of(photos), written(by_average(1, 0), tmp_path), "-1..1", progress)
    assert recipe.stages[0] == own.Adopt(input_range="-1..1")
    assert recipe.input.zero_point == 128
    assert not any("validation" in line for line in progress.lines)


def test_no_range_that_works_is_said(photos: Path, tmp_path: Path, progress: Any) -> None:
    model = by_average(1, 0)
    model.layers[-1].set_weights([np.zeros((3, 3)), np.zeros(3)])
    own.adopted(recipe_of(photos), written(model, tmp_path), None, progress)
    assert any("hardly better than guessing" in line for line in progress.lines)


def test_photos_that_it_may_have_seen_are_warned_of(photos: Path, tmp_path: Path, progress: Any) -> None:
    path, folder = written(by_average(1, 0), tmp_path), tmp_path / "split"
    own.adopted(recipe_of(photos), path, "0..255", progress)
    assert any("trained on photos" in line for line in progress.lines)
    progress.lines.clear()
    for split in ("train", "test"):
        colors(folder / split, 30)
    own.adopted(recipe_of(folder), path, "0..255", progress)
    assert not any("trained on photos" in line for line in progress.lines)


def refused(kind: type[EdgecnnError], *arguments: Any) -> EdgecnnError:
    with pytest.raises(kind) as caught:
        own.adopted(*arguments)
    assert caught.value.received
    assert caught.value.accepted
    assert caught.value.remedy
    return caught.value


def test_a_range_that_its_own_rescaling_rules_out_is_wrong_usage(photos: Path, tmp_path: Path, progress: Any) -> None:
    path = written(network(rescaled(1 / 127.5, -1)), tmp_path)
    error = refused(UsageError, recipe_of(photos), path, "0..1", progress)
    assert error.received == "0..1"
    assert error.accepted == "0..255"
    upside_down = written(network(rescaled(-1.0)), tmp_path)
    assert "without" in refused(UsageError, recipe_of(photos), upside_down, None, progress).remedy


def test_other_classes_are_refused_before_an_image_is_read(
    photos: Path, tmp_path: Path, progress: Any, monkeypatch: Any
) -> None:
    path = written(network(lambda tensor: layers().Dense(10)(features(tensor))), tmp_path)
    monkeypatch.setattr("edgecnn.build.data.Dataset.load", lambda *_: pytest.fail("too early"))
    error = refused(ModelError, recipe_of(photos), path, None, progress)
    assert "10 classes, and 3 folders" in str(error.received)
    assert "blue, green, red" in str(error.accepted)


def test_an_input_of_unknown_size_is_refused(photos: Path, tmp_path: Path, progress: Any) -> None:
    path = written(network(scores, size=(None, None, 3)), tmp_path)
    assert "any size" in refused(ModelError, recipe_of(photos), path, None, progress).message


def test_a_file_that_is_none_is_refused_before_the_photos_are_opened(tmp_path: Path, progress: Any) -> None:
    (tmp_path / "own.h5").write_bytes(b"no")
    recipe = recipe_of(tmp_path / "no such folder")
    assert refused(ModelError, recipe, tmp_path / "own.h5", None, progress).exit_code == 5
    assert refused(UsageError, recipe, tmp_path / "nothing.h5", None, progress).exit_code == 2


def test_a_file_that_changes_during_the_build_is_refused(tmp_path: Path) -> None:
    taken = own.Own.of(written(network(scores), tmp_path))
    written(network(lambda tensor: scores(tensor, "linear")), tmp_path)
    with pytest.raises(UsageError):
        taken.network()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--model", "FILE"], 2, "--model goes with --data"),
        (["--input-range", "0..1", "--data", "DIR"], 2, "--model goes with --data"),
        (["--model", "FILE", "--data", "DIR", "--input-range", "0..2"], 2, "no such input range"),
        (["--model", "FILE", "--data", "DIR"], 5, "does not fit the data"),
        (["--model", "DIR", "--data", "DIR"], 2, "cannot be read"),
    ],
)
def test_the_command_line_says_what_goes_together(
    arguments: list[str], code: int, said: str, photos: Path, tmp_path: Path
) -> None:
    from click.testing import CliRunner

    from edgecnn.cli import main

    path = written(network(lambda tensor: layers().Dense(10)(features(tensor))), tmp_path)
    given = [{"FILE": str(path), "DIR": str(photos)}.get(argument, argument) for argument in arguments]
    result = CliRunner().invoke(main, ["build", *given, "--json"])
    assert result.exit_code == code
    assert said in json.loads(result.stdout)["error"]["message"]


def test_where_the_file_is_does_not_matter_to_the_key(tmp_path: Path) -> None:
    model = written(network(scores), tmp_path)
    (tmp_path / "other.h5").write_bytes(model.read_bytes())
    first, second = (recipe_of(tmp_path, architecture=own.Own.of(path)) for path in (model, tmp_path / "other.h5"))
    assert first.settings() == second.settings()


def test_a_range_of_adopt_is_checked() -> None:
    assert own.Adopt(input_range="0..1").problems() == []
    assert own.Adopt(input_range="0..2").problems()


# --- all of it


def transfer() -> Any:
    """As transfer learning makes it: augmentation, arithmetic, a base with batch norm for inference, a head."""
    from edgecnn.build.keras import keras

    inner = layers().Input(SIZE)
    tensor = layers().BatchNormalization()(layers().Conv2D(8, 3, strides=2, use_bias=False)(inner))
    base = keras.Model(inner, layers().ReLU(6.0)(tensor), name="base")
    image = layers().Input(SIZE, name="image")
    tensor = base(layers().Rescaling(1 / 127.5, offset=-1)(layers().RandomFlip()(image)), training=False)
    tensor = layers().Dropout(0.1)(layers().GlobalAveragePooling2D()(tensor))
    return keras.Model(image, layers().Dense(3, activation="softmax")(tensor))


def sequential() -> Any:
    from edgecnn.build.keras import keras

    tensor = layers().Conv2D(8, 3, strides=2, activation="relu", input_shape=SIZE)
    return keras.Sequential([tensor, layers().GlobalAveragePooling2D(), layers().Dense(3), layers().Softmax()])


def gray() -> Any:
    """Of one channel, Softmax and all."""
    from edgecnn.build.keras import keras

    image = layers().Input((16, 16, 1))
    tensor = layers().Conv2D(8, 3, strides=2, activation="relu")(image)
    tensor = layers().Dense(3)(layers().GlobalAveragePooling2D()(layers().BatchNormalization(momentum=0.9)(tensor)))
    return keras.Model(image, layers().Softmax()(tensor))


def fitted(model: Any, photos: Path, seen: Callable[[Any], Any], spec: InputSpec) -> Any:
    """Trained by plain Keras for a second on what it is to see."""
    from edgecnn.build.keras import keras

    files = [(path, label) for label, name in enumerate(CLASSES) for path in sorted((photos / name).iterdir())]
    images = np.stack([spec.apply(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)) for path, _ in files])
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    model.fit(seen(images.astype(np.float32)), np.array([label for _, label in files]), epochs=25, verbose=0)
    return model


@pytest.mark.parametrize(
    ("make", "suffix", "seen", "input_range", "scale", "zero_point"),
    [
        (transfer, "keras", lambda pixels: pixels, None, 1 / 127.5, 128),
        (sequential, "h5", lambda pixels: pixels / 255, "0..1", 1 / 255, 0),
        (gray, "h5", lambda pixels: pixels / 127.5 - 1, "-1..1", 1 / 127.5, 128),
    ],
)
def test_from_a_file_to_a_bundle(
    make: Any,
    suffix: str,
    seen: Any,
    input_range: str | None,
    scale: float,
    zero_point: int,
    photos: Path,
    tmp_path: Path,
    progress: Any,
) -> None:
    model = make()
    spec = InputSpec(height=16, width=16, channels=model.input_shape[-1], resize="center_crop")
    fitted(model, photos, seen, spec)
    recipe = own.adopted(recipe_of(photos), written(model, tmp_path, suffix), input_range, progress)
    report = pipeline.run(recipe, out=tmp_path / "out", progress=progress)

    bundle = Bundle.read(tmp_path / "out" / "colors.tflite")
    assert bundle.input == recipe.input == replace(spec, scale=pytest.approx(scale), zero_point=zero_point)
    assert input_of(bundle) == (pytest.approx(scale), zero_point)
    data = recipe.data.open(recipe.input)
    data.load(progress)
    images = data["test"]
    with Classifier(bundle) as classifier:
        accuracy = evaluate(classifier, zip(images.pixels, images.labels.tolist(), strict=True)).accuracy
    expected = (
        model.predict(seen(images.pixels[:].astype(np.float32)), verbose=0).argmax(axis=1) == images.labels
    ).mean()
    assert expected > 0.9
    assert accuracy == pytest.approx(expected, abs=2 / len(images))
    assert report["float"]["accuracy"] == pytest.approx(expected, abs=1 / len(images))
    assert [stage["name"] for stage in report["stages"]] == ["adopt", "convert", "verify"]
    assert bundle.temperature == report["confidence"]["temperature"] != 1.0


def input_of(bundle: Bundle) -> tuple[float, int]:
    """Scale and zero point of the input tensor that is in the file."""
    from edgecnn.build.flatbuffer import inspect

    tensor: Any = inspect(bundle.model).inputs[0]
    return tensor.scale, tensor.zero_point
