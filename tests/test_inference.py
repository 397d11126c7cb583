from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgecnn import Bundle, Classifier, InputSpec
from edgecnn.errors import BundleError, UsageError
from edgecnn.inference import _maps_of, _scores_of
from edgecnn.preprocess import Pixels
from edgecnn.shapes import CLASSES
from edgecnn.targets import TensorInfo

SPEC = InputSpec(height=96, width=96)
STEP = 1 / 256  # of a score


def scores_of(bundle: Bundle, pictures: Pixels, **options: Any) -> Any:
    """(n, classes)."""
    with Classifier(bundle, **options) as classifier:
        scores = []
        for picture in pictures:
            classifier.invoke(classifier.preprocess(picture))
            scores.append(classifier.scores())
    return np.array(scores)


@pytest.fixture(scope="session")
def convert_with(float_model: Any, pictures: Pixels) -> Callable[[str], bytes]:
    """The network quantized, with another type at its ends: uint8, int8 or float32."""

    def convert(ends: str) -> bytes:
        from edgecnn.build import converter
        from edgecnn.build.keras import tf

        def representative() -> Any:
            for number, picture in enumerate(pictures):
                image = SPEC.dequantize(picture[np.newaxis])
                if number == 0:
                    image.flat[:2] = SPEC.range()
                yield [image]

        made = converter._converter(float_model)
        made.optimizations = [tf.lite.Optimize.DEFAULT]
        made.representative_dataset = representative
        made.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        made.inference_input_type = made.inference_output_type = getattr(tf, ends)
        return converter._convert(made)

    return convert


def test_predictions_are_the_best_scores_best_first(bundle: Bundle, pictures: Pixels) -> None:
    with Classifier(bundle, top=4) as classifier:
        predictions = classifier(pictures[0])
        scores = classifier.scores()
    assert [prediction.score for prediction in predictions] == sorted(scores.tolist(), reverse=True)[:4]
    assert all(prediction.label == CLASSES[prediction.index] for prediction in predictions)
    assert all(prediction.score == scores[prediction.index] for prediction in predictions)


def test_of_equal_scores_the_lower_index_is_first(bundle: Bundle) -> None:
    with Classifier(bundle, top=5) as classifier:
        predictions = classifier.predictions(np.array([0.1, 0.2, 0.2, 0.1, 0.2, 0, 0, 0, 0], np.float32))
    assert [prediction.index for prediction in predictions] == [1, 2, 4, 0, 3]


def test_more_than_there_are_is_all(bundle: Bundle, pictures: Pixels) -> None:
    with Classifier(bundle, top=99) as classifier:
        assert len(classifier(pictures[0])) == len(CLASSES)


def test_scores_are_dequantized_probabilities(bundle: Bundle, pictures: Pixels) -> None:
    scores = scores_of(bundle, pictures)
    assert scores.dtype == np.float32
    assert np.array_equal(scores, np.round(scores / STEP) * STEP)
    assert np.abs(scores.sum(axis=1) - 1).max() < len(CLASSES) * STEP
    assert len({row.tobytes() for row in scores}) > 9  # the pictures differ, and so do the answers


def test_a_frame_of_any_size_is_resized_as_the_bundle_says(bundle: Bundle, pictures: Pixels) -> None:
    assert bundle.input
    large = pictures[0].repeat(3, axis=0).repeat(2, axis=1)
    cropping = replace(bundle, input=replace(bundle.input, resize="center_crop"))
    with Classifier(bundle) as classifier, Classifier(cropping) as cropper:
        assert classifier(large) == classifier(pictures[0])
        assert np.array_equal(cropper.preprocess(large)[0], cropping.input.apply(large))  # type: ignore[union-attr]
        assert not np.array_equal(cropper.preprocess(large), classifier.preprocess(large))


def test_the_quantized_file_answers_as_keras_does(bundle: Bundle, float_model: Any, pictures: Pixels) -> None:
    from edgecnn.build.keras import tf

    truth = tf.nn.softmax(float_model(SPEC.dequantize(pictures), training=False)).numpy()
    assert np.abs(scores_of(bundle, pictures) - truth).max() < 0.05


def test_uint8_int8_and_float32_inputs_agree(
    bundle: Bundle, convert_with: Callable[[str], bytes], pictures: Pixels
) -> None:
    scores = {ends: scores_of(replace(bundle, model=convert_with(ends)), pictures) for ends in ("int8", "float32")}
    scores["uint8"] = scores_of(bundle, pictures)
    assert np.array_equal(scores["int8"], scores["uint8"])
    assert np.array_equal(scores["float32"], scores["uint8"])


def test_a_float_model_is_given_what_its_normalization_says(
    bundle: Bundle, foreign_model: bytes, float_model: Any, pictures: Pixels
) -> None:
    from edgecnn.build.keras import tf

    float_bundle = replace(bundle, model=foreign_model)
    truth = tf.nn.softmax(float_model(SPEC.dequantize(pictures), training=False)).numpy()
    assert np.abs(scores_of(float_bundle, pictures) - truth).max() < 1e-4
    by_channel = replace(float_bundle, normalization=((1.0, 2.0, 3.0), (4.0, 5.0, 6.0)))
    with Classifier(by_channel) as classifier:
        tensor = classifier.preprocess(pictures[0])
    expected = (pictures[0].astype(np.float32) - [1, 2, 3]) / [4, 5, 6]
    assert tensor.dtype == np.float32
    assert np.allclose(tensor[0], expected)


def test_reference_kernels_agree_within_two_steps(bundle: Bundle, pictures: Pixels) -> None:
    fast, plain = scores_of(bundle, pictures), scores_of(bundle, pictures, reference=True)
    assert np.abs(fast - plain).max() <= 2 * STEP
    with Classifier(bundle, reference=True) as classifier:
        assert "reference" in classifier.runtime


def test_one_thread_and_two_answer_alike(bundle: Bundle, pictures: Pixels) -> None:
    assert np.array_equal(scores_of(bundle, pictures, threads=1), scores_of(bundle, pictures, threads=2))


def test_a_score_is_kept_when_the_next_frame_comes(bundle: Bundle, pictures: Pixels) -> None:
    with Classifier(bundle) as classifier:
        classifier.invoke(classifier.preprocess(pictures[0]))
        first = classifier.scores()
        before = first.copy()
        classifier.invoke(classifier.preprocess(pictures[6]))
        assert np.array_equal(first, before)
        assert not np.array_equal(classifier.scores(), before)


def test_the_interpreter_is_gone_after_the_block(bundle: Bundle, pictures: Pixels) -> None:
    with Classifier(bundle) as classifier:
        tensor = classifier.preprocess(pictures[0])
    with pytest.raises(AttributeError):
        classifier.invoke(tensor)


def test_threads_and_runtime_are_said(bundle: Bundle) -> None:
    with Classifier(bundle, threads=3) as classifier:
        assert classifier.threads == 3
        assert classifier.runtime.startswith("ai-edge-litert ")
    with Classifier(bundle) as classifier:
        assert 1 <= classifier.threads <= 4


def test_a_model_that_is_no_classifier_is_refused(bundle: Bundle) -> None:
    for other in (replace(bundle, input=None), replace(bundle, labels=CLASSES[:-1])):
        with pytest.raises(BundleError, match="not a classifier") as caught:
            Classifier(other)
        assert "(1, 96, 96, 3)" in str(caught.value.received)


def test_an_unknown_target_is_a_wrong_usage(bundle: Bundle) -> None:
    with pytest.raises(UsageError, match="no such target"):
        Classifier(bundle, target="onnx")


def test_scores_are_found_wherever_they_stand() -> None:
    """By one number a class, and of two such outputs the flatter; maps have the classes last."""

    def outputs(*shapes: tuple[int, ...]) -> list[TensorInfo]:
        return [TensorInfo(name="", shape=shape, dtype=np.dtype(np.uint8), scale=1.0, zero_point=0) for shape in shapes]

    cases: dict[tuple[tuple[int, ...], ...], tuple[int | None, int | None]] = {
        ((1, 9),): (0, None),
        ((1, 1, 1, 9),): (0, None),
        ((1, 9), (1, 4, 4, 9)): (0, 1),
        ((1, 4, 4, 9), (1, 9)): (1, 0),
        ((1, 1, 1, 9), (1, 9)): (1, 0),
        ((1, 16), (1, 9)): (1, None),
        ((1, 4, 4, 16),): (None, None),
    }
    for shapes, expected in cases.items():
        scores = _scores_of(outputs(*shapes), 9)
        assert (scores, _maps_of(outputs(*shapes), scores, 9)) == expected
