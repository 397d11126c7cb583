"""Where a network looks: a second output whose mean is the logit, in int8, whatever made the file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn import Bundle, Classifier, InputSpec
from edgecnn.build import Convert, SeparableNet, Train, Verify, class_maps, converter, fake_quantization, pipeline
from edgecnn.build.cache import Cache
from edgecnn.build.flatbuffer import inspect
from edgecnn.build.keras import keras
from edgecnn.build.promises import check_promises
from edgecnn.errors import BundleError, ModelError
from edgecnn.metadata import LABELS_FILE, Metadata, read_metadata
from edgecnn.shapes import CLASSES
from tests.build.test_channels import randomized
from tests.build.tiny_recipe import recipe as tiny

SPEC = InputSpec(height=32, width=32)
PIXELS = np.random.default_rng(5).integers(0, 256, (24, 32, 32, 3), np.uint8)
layers = keras.layers


@pytest.fixture
def model() -> Any:
    keras.backend.clear_session()
    return randomized(SeparableNet(widths=(8, 16, 16), strides=(2, 1)).build(SPEC, 9))


def test_the_mean_of_a_map_is_the_logit(model: Any) -> None:
    logits, maps = (each.numpy() for each in class_maps.added(model)(SPEC.dequantize(PIXELS)))
    assert maps.shape == (24, 8, 8, 9)
    np.testing.assert_allclose(maps.mean(axis=(1, 2)), logits, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(logits, model(SPEC.dequantize(PIXELS)).numpy())


def file_of(model: Any, kind: str) -> bytes:
    if kind == "refined":
        return converter.ptq_file(class_maps.added(model), SPEC, PIXELS, ranges="mse", correct_biases=True)
    if kind == "ptq":
        return converter.ptq_file(class_maps.added(model), SPEC, PIXELS)
    kept = frozenset({"mixed": ["block1_pointwise"], "mixed at the end": ["logits"]}.get(kind, []))
    aware = fake_quantization.of(model, SPEC, float_layers=kept)
    fake_quantization.calibrate(aware, model, SPEC, PIXELS)
    return converter.qat_file(class_maps.added_aware(aware, model, SPEC, PIXELS))


@pytest.mark.parametrize("kind", ["ptq", "refined", "qat", "mixed", "mixed at the end"])
def test_of_the_file_too_and_it_is_int8(model: Any, kind: str) -> None:
    """Within what rounding to 8 bits may change; the scores are those of the file without maps."""
    file = file_of(model, kind)
    facts = inspect(file)
    check_promises(
        facts, spec=SPEC, zeros={}, float_tensors=(), float_operators=kind.startswith("mixed"), class_maps=True
    )
    with pytest.raises(ModelError, match="1 output beside the scores, not 0"):
        check_promises(facts, spec=SPEC, zeros={}, float_tensors=(), float_operators=kind.startswith("mixed"))
    logits = model(SPEC.dequantize(PIXELS)).numpy()
    bundle = Bundle.make(file, name="a", spec=SPEC, labels=CLASSES, manifest={})
    with Classifier(bundle, threads=1) as classifier:
        assert classifier.map_shape == (8, 8)
        for pixels, expected in zip(PIXELS, logits, strict=True):
            classifier.invoke(pixels[np.newaxis])
            maps = classifier.output(1)[0]
            assert np.abs(maps.mean(axis=(0, 1)) - expected).max() < 0.06 * np.ptp(logits)
            scores = np.exp(expected - expected.max()) / np.exp(expected - expected.max()).sum()
            assert np.abs(classifier.scores() - scores).max() < 0.25
            one = classifier.class_map(3)
            assert (one.shape, one.dtype, one.min(), one.max()) == ((8, 8), np.float32, 0.0, 1.0)
            assert np.unravel_index(one.argmax(), one.shape) == np.unravel_index(maps[..., 3].argmax(), one.shape)


def test_scores_stay_the_first_output_and_the_metadata_describes_both(model: Any) -> None:
    with_maps, without = (
        Bundle.make(file, name="a", spec=SPEC, labels=CLASSES, manifest={})
        for file in (file_of(model, "ptq"), converter.ptq_file(model, SPEC, PIXELS))
    )
    assert [output.name for output in inspect(with_maps.model).outputs][1:]
    described = with_maps.describe()["outputs"]
    assert [output["shape"] for output in described] == [[1, 9], [1, 8, 8, 9]]
    metadata = read_metadata(with_maps.model)
    assert isinstance(metadata, Metadata)
    assert metadata.label_files == [LABELS_FILE]
    with Classifier(with_maps, threads=1) as ours, Classifier(without, threads=1) as plain:
        assert plain.map_shape is None
        with pytest.raises(BundleError, match="no class maps"):
            plain.class_map(0)
        for pixels in PIXELS:
            for each in (ours, plain):
                each.invoke(pixels[np.newaxis])
            np.testing.assert_array_equal(ours.scores(), plain.scores())


def test_a_place_that_shows_a_class_lights_up() -> None:
    """A network whose classes are red and green, on images that are red or green in one corner."""
    keras.backend.clear_session()
    image = layers.Input((32, 32, 3), name="image")
    x = layers.ReLU(name="relu")(layers.Conv2D(3, 1, name="stem")(image))
    x = layers.Dense(2, name="logits")(layers.GlobalAveragePooling2D(name="pool")(layers.MaxPooling2D(8)(x)))
    model = keras.Model(image, x)
    model.set_weights([np.eye(3).reshape(1, 1, 3, 3), np.ones(3), np.eye(3)[:, :2], np.zeros(2)])
    pixels = np.zeros((2, 32, 32, 3), np.uint8)
    pixels[0, :8, 24:, 0] = pixels[1, 24:, :8, 1] = 255
    file = converter.ptq_file(class_maps.added(model), SPEC, pixels)
    bundle = Bundle.make(file, name="a", spec=SPEC, labels=("red", "green"), manifest={})
    with Classifier(bundle, threads=1) as classifier:
        for index, place in enumerate([(0, 3), (3, 0)]):
            classifier.invoke(pixels[index : index + 1])
            expected = np.zeros((4, 4))
            expected[place] = 1
            np.testing.assert_array_equal(classifier.class_map(index), expected)
            assert not classifier.class_map(1 - index).any()


def flattened(x: Any) -> Any:
    return layers.Dense(9, name="logits")(layers.Flatten(name="flat")(x))


def hidden(x: Any) -> Any:
    x = layers.Dense(16, name="hidden")(layers.GlobalAveragePooling2D()(x))
    return layers.Dense(9, name="logits")(x)


@pytest.mark.parametrize(("end", "said"), [(flattened, "stem"), (hidden, "hidden")])
def test_another_end_is_refused(end: Any, said: str) -> None:
    keras.backend.clear_session()
    image = layers.Input((32, 32, 3), name="image")
    model = keras.Model(image, end(layers.Conv2D(8, 3, 2, name="stem")(image)))
    with pytest.raises(ModelError, match="no class maps") as caught:
        class_maps.check(model)
    assert said in caught.value.received
    with pytest.raises(ModelError, match="no class maps"):
        Convert(class_maps=True).check(model, None)  # type: ignore[arg-type]
    Convert().check(model, None)  # type: ignore[arg-type]


def test_dropout_before_the_dense_layer_is_passed_over() -> None:
    image = layers.Input((32, 32, 3), name="image")
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, 2)(image))
    class_maps.check(keras.Model(image, layers.Dense(9)(layers.Dropout(0.2)(x))))


def test_a_build_proves_them_and_its_network_is_the_same_without(tmp_path: Path, progress: Any) -> None:
    cache = Cache(tmp_path / "cache")
    built = []
    for maps in (True, False):
        stages = (Train(epochs=1), Convert(class_maps=maps), Verify(runs=3))
        recipe = replace(tiny(), stages=stages, gates=())
        report = pipeline.run(recipe, out=tmp_path / str(maps), progress=progress, cache=cache)
        with Classifier(Bundle.read(Path(report["model"]["path"])), threads=1) as classifier:
            assert classifier.map_shape == ((8, 8) if maps else None)
        built.append(report)
    assert built[0]["int8"]["accuracy"] == built[1]["int8"]["accuracy"]
    assert built[0]["confidence"] == built[1]["confidence"]
    assert built[0]["model"]["size_bytes"] > built[1]["model"]["size_bytes"]
