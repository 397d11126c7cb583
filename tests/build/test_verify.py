from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgecnn.build import converter
from edgecnn.build.data import Images
from edgecnn.build.flatbuffer import FileFacts, inspect
from edgecnn.build.promises import check_promises
from edgecnn.build.verify import Verify, check_disjoint
from edgecnn.errors import DataError, ModelError
from edgecnn.preprocess import InputSpec, Pixels

SPEC = InputSpec(height=96, width=96)


@pytest.fixture(scope="session")
def facts(int8_model: bytes) -> FileFacts:
    return inspect(int8_model)


def broken(facts: FileFacts, zeros: dict[str, Any] | None = None, float_tensors: tuple[str, ...] = ()) -> str:
    with pytest.raises(ModelError) as caught:
        check_promises(facts, spec=SPEC, zeros=zeros or {}, float_tensors=float_tensors)
    assert caught.value.exit_code == 5
    return caught.value.message


def test_a_real_int8_file_keeps_every_promise(facts: FileFacts) -> None:
    check_promises(facts, spec=SPEC, zeros={}, float_tensors=())
    assert {tensor.type for tensor in facts.inner} <= {"int8", "int32"}
    assert (facts.inputs[0].type, facts.inputs[0].scale, facts.inputs[0].zero_point) == ("uint8", 1 / 128, 128)
    assert (facts.outputs[0].type, facts.outputs[0].scale, facts.outputs[0].zero_point) == ("uint8", 1 / 256, 0)


def test_the_kernels_of_the_file_are_all_convolutions_and_dense_layers(facts: FileFacts) -> None:
    shapes = [kernel.shape for kernel in facts.kernels]
    assert shapes == [(8, 3, 3, 3), (16, 1, 1, 8), (9, 16)]  # not the depthwise one
    assert all(kernel.dtype == np.int8 for kernel in facts.kernels)
    assert all(np.abs(kernel).max() == 127 for kernel in facts.kernels)


def test_a_float_file_is_refused_and_its_tensors_named(foreign_model: bytes) -> None:
    facts = inspect(foreign_model)
    message = broken(facts)
    floats = [tensor.name for tensor in facts.inner if tensor.type == "float32"]
    assert len(floats) > 5
    assert all(f"{name} is float32" in message for name in floats)
    assert "the input is float32" in message


def test_a_float_tensor_that_the_recipe_names_must_be_there_and_be_the_only_one(
    float_model: Any, pictures: Pixels
) -> None:
    """A network with a layer that stays in float between int8 ones."""
    facts = inspect(float_inside(float_model, pictures))
    floats = tuple(tensor.name for tensor in facts.inner if tensor.type not in ("int8", "int32"))
    assert len(floats) >= 2
    check_promises(facts, spec=SPEC, zeros={}, float_tensors=floats)
    assert f"{floats[0]} is float32" in broken(facts, float_tensors=floats[1:])
    assert "another is not float" in broken(facts, float_tensors=(*floats, "another"))


def float_inside(float_model: Any, pictures: Pixels) -> bytes:
    """int8 at its ends, and one operator without an int8 kernel inside."""
    from edgecnn.build.keras import keras, tf

    image = keras.layers.Input((96, 96, 3), name="image")
    model = keras.Model(image, keras.layers.Lambda(tf.nn.elu)(float_model(image)))
    converter_of_it = converter._quantized(converter._converter(model))
    converter_of_it.representative_dataset = lambda: pinned(pictures)
    return converter._convert(converter_of_it)


def pinned(pictures: Pixels, low: float = -1.0, high: float = 127 / 128) -> Any:
    for picture in pictures:
        image = SPEC.dequantize(picture[np.newaxis])
        image.flat[:2] = low, high
        yield [image]


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (-2.0, 127 / 128), (-1.0, 2.0)])
def test_another_range_of_the_input_is_refused(float_model: Any, pictures: Pixels, low: float, high: float) -> None:
    made = converter._quantized(converter._converter(float_model))
    made.representative_dataset = lambda: pinned(pictures, low, high)
    assert "the input is uint8 with scale" in broken(inspect(converter._convert(made)))


@pytest.mark.parametrize(
    ("change", "said"),
    [({"type": "float32"}, "an output, is float32"), ({"scale": 1 / 128}, "the scores have scale 0.0078125")],
)
def test_scores_of_another_kind_are_refused(facts: FileFacts, change: dict[str, Any], said: str) -> None:
    assert said in broken(replace(facts, outputs=(replace(facts.outputs[0], **change),)))


def test_a_second_output_is_refused_where_none_is_meant_and_missed_where_one_is(facts: FileFacts) -> None:
    two = replace(facts, outputs=(*facts.outputs, replace(facts.outputs[0], name="class_maps", scale=0.1)))
    assert "1 output beside the scores, not 0" in broken(two)
    check_promises(two, spec=SPEC, zeros={}, float_tensors=(), class_maps=True)
    with pytest.raises(ModelError, match="0 outputs beside the scores, not 1"):
        check_promises(facts, spec=SPEC, zeros={}, float_tensors=(), class_maps=True)
    in_float = replace(two, outputs=(facts.outputs[0], replace(two.outputs[1], type="float32", scale=None)))
    with pytest.raises(ModelError, match="class_maps, an output, is float32"):
        check_promises(in_float, spec=SPEC, zeros={}, float_tensors=(), class_maps=True)


def zero_masks(facts: FileFacts) -> dict[str, Any]:
    """Where the file has zeros, in Keras's order of axes."""
    masks = {
        name: np.moveaxis(kernel == 0, 0, -1)
        for name, kernel in zip(("stem", "point", "logits"), facts.kernels, strict=True)
    }
    return {name: mask.copy() for name, mask in masks.items()}


def test_zeros_that_are_in_the_file_are_kept(facts: FileFacts) -> None:
    masks = zero_masks(facts)
    assert masks["stem"].shape == (3, 3, 3, 8)
    assert any(mask.any() for mask in masks.values())
    check_promises(facts, spec=SPEC, zeros=masks, float_tensors=())


@pytest.mark.parametrize("layer", ["stem", "point", "logits"])
def test_a_zero_that_is_not_in_the_file_names_its_layer(facts: FileFacts, layer: str) -> None:
    masks = zero_masks(facts)
    place = tuple(np.argwhere(~masks[layer])[0])
    masks[layer][place] = True
    message = broken(facts, zeros=masks)
    assert f"zeros of the layer {layer} are not zeros in the file" in message
    assert "1 promise:" in message


def test_layers_of_one_shape_are_told_apart(facts: FileFacts) -> None:
    """Whatever the order in the file, and though one layer has by chance the zeros of another."""
    a, b, c = (np.ones((4, 1, 1, 4), np.int8) for _ in range(3))
    a[0, 0, 0, 0] = 0
    b[0, 0, 0, :2] = 0
    c[0, 0, 0, :3] = 0
    masks = {
        "wants a": np.moveaxis(a == 0, 0, -1),
        "wants b": np.moveaxis(b == 0, 0, -1),
        "wants c": np.moveaxis(c == 0, 0, -1),
    }
    for kernels in ((a, b, c), (c, b, a), (b, c, a)):
        check_promises(replace(facts, kernels=kernels), spec=SPEC, zeros=masks, float_tensors=())
    message = broken(replace(facts, kernels=(a, b, b)), zeros=masks)
    assert "wants c" in message


def test_no_good_file_is_refused_for_a_zero_that_quantization_made(facts: FileFacts) -> None:
    """Each layer has one zero of its own; quantization gave the first kernel the zero of the second layer, too."""
    first, second = np.ones((4, 1, 1, 4), np.int8), np.ones((4, 1, 1, 4), np.int8)
    first[0, 0, 0, 0] = second[1, 0, 0, 0] = 0
    masks = {"a": np.moveaxis(second == 0, 0, -1), "b": np.moveaxis(first == 0, 0, -1)}
    first[1, 0, 0, 0] = 0
    check_promises(replace(facts, kernels=(first, second)), spec=SPEC, zeros=masks, float_tensors=())


def test_every_broken_promise_is_said_at_once(foreign_model: bytes) -> None:
    facts = inspect(foreign_model)
    message = broken(facts, zeros={"logits": np.ones((16, 9), bool)}, float_tensors=("nothing",))
    for part in ("is float32", "nothing is not float", "the input is", "zeros of the layer logits"):
        assert part in message


def images(*digests: str) -> Images:
    return Images(pixels=np.empty((0, 1, 1, 3), np.uint8), labels=np.empty(0, np.int64), digests=digests)


def test_disjoint_splits_pass_with_copies_inside_one() -> None:
    check_disjoint({"train": images("a", "a", "b"), "test": images("c"), "validation": images()})


def test_an_image_in_two_splits_is_an_error_of_the_data() -> None:
    with pytest.raises(DataError, match="train and test") as caught:
        check_disjoint({"train": images("a" * 64, "b"), "validation": images("c"), "test": images("d", "a" * 64)})
    assert caught.value.exit_code == 4
    assert "a" * 12 in str(caught.value.received)


def test_runs_are_at_least_one() -> None:
    assert Verify(runs=1).problems() == []
    assert Verify(runs=0).problems()


def test_one_model_and_one_calibration_make_one_file(int8_model: bytes, float_model: Any, pictures: Pixels) -> None:
    assert converter.ptq_file(float_model, SPEC, pictures) == int8_model
