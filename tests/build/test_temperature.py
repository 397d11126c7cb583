"""A temperature: the best one, folded into every last layer and every kind of file, and nothing else changed."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgecnn import Bundle, Classifier, InputSpec
from edgecnn.build import Convert, Quantize, Train, Verify, converter, fake_quantization, pipeline
from edgecnn.build.cache import Cache
from edgecnn.build.convert import INT8_FILE, KERAS_LOGITS
from edgecnn.build.data import Images
from edgecnn.build.flatbuffer import with_beta
from edgecnn.build.keras import keras
from edgecnn.build.temperature import HIGHEST, LOWEST, best, calibrate, told_apart
from edgecnn.progress import Silent
from edgecnn.shapes import CLASSES
from tests.build.test_channels import randomized
from tests.build.tiny_recipe import recipe as tiny

SPEC = InputSpec(height=32, width=32)
RANDOM = np.random.default_rng(4)
PIXELS = RANDOM.integers(0, 256, (48, 32, 32, 3), np.uint8)
layers = keras.layers


def drawn(logits: Any, temperature: float) -> Any:
    """Labels as often as the scores of logits at a temperature say."""
    weights = np.exp(logits / temperature)
    shares = (weights / weights.sum(axis=1, keepdims=True)).cumsum(axis=1)
    return (shares < np.random.default_rng(7).random((len(logits), 1))).sum(axis=1)


@pytest.mark.parametrize("truth", [0.5, 1.0, 3.0])
def test_the_temperature_that_labels_were_drawn_at_is_found(truth: float) -> None:
    logits = np.random.default_rng(0).normal(0, 3, (20_000, 5))
    assert best(logits, drawn(logits, truth)) == pytest.approx(truth, rel=0.05)


def test_no_temperature_near_it_is_likelier() -> None:
    logits = np.random.default_rng(1).normal(0, 3, (200, 4))
    labels = drawn(logits, 2.0)

    def likelihood(temperature: float) -> float:
        scaled = logits / temperature
        return float((scaled[np.arange(200), labels] - np.log(np.exp(scaled).sum(axis=1))).mean())

    found = best(logits, labels)
    assert likelihood(found) > max(likelihood(found * 1.01), likelihood(found / 1.01))


def test_what_no_temperature_explains_ends_at_a_bound() -> None:
    logits = np.array([[3.0, 0.0], [0.0, 2.0], [1.0, 0.0]])
    assert best(logits, np.array([0, 1, 0])) == LOWEST
    assert best(logits, np.array([1, 0, 1])) == HIGHEST


def test_what_256_levels_cannot_tell_apart_is_not_flattened_further() -> None:
    """Logits that hardly differ: at 10, scores of nine classes are all 28/256, and the first class would always win."""
    logits = np.random.default_rng(0).normal(0, 0.5, (300, 9))
    found = told_apart(logits, HIGHEST)
    assert 1 <= found < HIGHEST
    levels = np.exp(logits / found) / np.exp(logits / found).sum(axis=1, keepdims=True)
    assert (np.round(256 * levels).argmax(axis=1) != logits.argmax(axis=1)).mean() < 0.1
    assert told_apart(logits * 40, 2.0) == 2.0
    assert told_apart(logits, LOWEST) == LOWEST


def around(labels: Any, labelled: bool = True) -> Any:
    """What calibration asks of a context."""
    images = Images(pixels=PIXELS, labels=labels, digests=("",) * len(labels))
    data = type("Data", (dict,), {"labelled": labelled})(validation=images)
    return SimpleNamespace(data=data, recipe=SimpleNamespace(input=SPEC), progress=Silent())


def dense(x: Any) -> Any:
    return layers.Dense(9, name="logits")(layers.GlobalAveragePooling2D(name="pool")(x))


def convolution(x: Any) -> Any:
    return layers.GlobalAveragePooling2D(name="pool")(layers.Conv2D(9, 1, name="logits")(x))


def with_batch_norm(x: Any) -> Any:
    x = layers.BatchNormalization(name="logits_bn")(layers.Conv2D(9, 1, use_bias=False, name="logits")(x))
    return layers.Dropout(0.3)(layers.Flatten(name="flat")(layers.GlobalAveragePooling2D(keepdims=True)(x)))


def network(end: Any) -> Any:
    """A small network whose scores differ."""
    keras.backend.clear_session()
    image = layers.Input((32, 32, 3), name="image")
    x = layers.ReLU(name="relu")(layers.BatchNormalization(name="bn")(layers.Conv2D(8, 3, 2, name="stem")(image)))
    return randomized(keras.Model(image, end(x)))


def logits_of(model: Any) -> Any:
    return model(SPEC.dequantize(PIXELS), training=False).numpy()


def scores_of(file: bytes) -> Any:
    bundle = Bundle.make(file, name="a", spec=SPEC, labels=CLASSES, manifest={})
    with Classifier(bundle, threads=1) as classifier:
        return np.array([classifier.invoke(pixels[np.newaxis]) or classifier.scores() for pixels in PIXELS])


@pytest.mark.parametrize("aware", [False, True], ids=["ptq", "qat"])
@pytest.mark.parametrize("end", [dense, convolution, with_batch_norm])
def test_folding_divides_the_logits_of_the_file_and_changes_no_answer(end: Any, aware: bool) -> None:
    """The same file but for one factor: with the temperature as its softmax's beta, it gives the scores of before."""
    model = network(end)
    network_, like = model, None
    if aware:
        network_, like = fake_quantization.of(model, SPEC), model
        fake_quantization.calibrate(network_, model, SPEC, PIXELS)

    def file() -> bytes:
        return converter.qat_file(network_) if aware else converter.ptq_file(network_, SPEC, PIXELS)

    before, scores_before = logits_of(network_), scores_of(file())
    labels = drawn(before, 2.5)
    found = calibrate(network_, around(labels), like)
    assert found.note == ""
    assert found.value == best(before, labels) != 1.0
    np.testing.assert_allclose(logits_of(network_) * found.value, before, atol=1e-4 * np.abs(before).max())
    folded = file()
    assert np.abs(scores_of(folded) - scores_before).max() > 0.02
    assert np.abs(scores_of(with_beta(folded, found.value)) - scores_before).max() <= 1 / 256
    np.testing.assert_array_equal(logits_of(network_).argmax(axis=1), before.argmax(axis=1))


def shared(x: Any) -> Any:
    layer = layers.Dense(9, name="logits")
    x = layers.GlobalAveragePooling2D()(x)
    return layers.Add()([layer(x), layers.Dense(9)(x)])


def test_where_no_layer_alone_makes_the_logits_nothing_is_changed() -> None:
    model = network(shared)
    before = logits_of(model)
    found = calibrate(model, around(drawn(before, 2.0)))
    assert (found.value, found.note) == (1.0, "no layer alone makes the logits")
    np.testing.assert_array_equal(logits_of(model), before)


def test_without_labels_nothing_is_fitted() -> None:
    model = network(dense)
    before = logits_of(model)
    assert calibrate(model, around(np.full(48, -1), labelled=False)).value == 1.0
    np.testing.assert_array_equal(logits_of(model), before)


def test_the_file_that_ships_has_it_and_agrees_with_the_network_that_was_converted(
    tmp_path: Path, progress: Any
) -> None:
    """Of all candidates, and in the report, the manifest and the logits that the file is held against."""
    stages = (Train(epochs=2), Quantize(epochs=1), Convert(), Verify(runs=3))
    recipe, cache = replace(tiny(), stages=stages, gates=()), Cache(tmp_path / "cache")
    report = pipeline.run(recipe, out=tmp_path / "out", progress=progress, cache=cache)
    confidence = report["confidence"]
    assert {each["method"] for each in report["candidates"]} == {"ptq", "qat"}
    assert all(LOWEST <= each["temperature"] <= HIGHEST for each in report["candidates"])
    shipped = next(each for each in report["candidates"] if each["method"] == report["int8"]["method"])
    bundle = Bundle.read(Path(report["model"]["path"]))
    assert bundle.temperature == confidence["temperature"] == shipped["temperature"] != 1.0
    assert bundle.threshold == confidence["threshold"]
    assert report["int8"]["agreement"] > 0.9
    converted = cache.find(report["stages"][-2]["key"])
    assert converted
    data = recipe.data.open(recipe.input)
    data.load(progress, cache)
    logits = np.load(converted.files[KERAS_LOGITS])
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    made = Bundle.make(
        converted.files[INT8_FILE].read_bytes(), name="a", spec=recipe.input, labels=CLASSES, manifest={}
    )
    with Classifier(made, threads=1) as classifier:
        for pixels, expected in zip(data["test"].pixels, scores, strict=True):
            classifier.invoke(pixels[np.newaxis])
            np.testing.assert_allclose(classifier.scores(), expected, atol=0.04)
    again = pipeline.run(recipe, out=tmp_path / "again", progress=progress, cache=cache)
    assert all(stage["cached"] for stage in again["stages"])
    assert (tmp_path / "again" / "tiny.tflite").read_bytes() == (tmp_path / "out" / "tiny.tflite").read_bytes()
