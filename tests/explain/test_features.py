from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn import Bundle, targets
from edgecnn.errors import ModelError, UsageError
from edgecnn.explain.features import exposing, feature_layers, find_layer, first_filters, logits_of
from tests import squares


def test_layers_have_the_names_of_the_network(square_bundle: Bundle) -> None:
    found = feature_layers(square_bundle.model)
    assert [(layer.name, layer.kind, layer.shape) for layer in found] == [
        ("first", "CONV_2D", (32, 32, 8)),
        ("shrunk", "MAX_POOL_2D", (16, 16, 8)),
        ("second", "CONV_2D", (16, 16, 8)),
    ]
    with pytest.raises(UsageError) as raised:
        find_layer(square_bundle.model, "third")
    assert raised.value.accepted == "first, shrunk, second"


@pytest.mark.parametrize("target", [name for name, each in targets.TARGETS.items() if each.installed()])
def test_what_is_exposed_is_what_keras_computes_and_the_scores_stay(
    square_model: Any, square_bundle: Bundle, target: str
) -> None:
    from edgecnn.build.keras import keras

    logits = logits_of(square_bundle.model)
    assert logits is not None
    layer = find_layer(square_bundle.model, "second")
    model, places = exposing(square_bundle.model, logits, layer.tensor)
    assert places == (1, 2)
    image = squares.scene(910, at=(9, 9))[np.newaxis]
    session = targets.choose(target).load(model, threads=1)
    plain = targets.choose(target).load(square_bundle.model, threads=1)
    for each in (session, plain):
        each.set_input(image)
        each.invoke()
    np.testing.assert_array_equal(session.output(0), plain.output(0))
    wanted = keras.Model(square_model.inputs, [square_model.output, square_model.get_layer("second").output])
    for place, exact in zip(places, wanted(squares.SPEC.dequantize(image)), strict=True):
        tensor, info = session.output(place).astype(np.float32), session.outputs[place]
        assert np.abs((tensor - info.zero_point) * info.scale - np.asarray(exact)).max() < 0.1 * np.ptp(exact)


def test_an_output_is_not_exposed_twice(foreign_path: Path) -> None:
    model = foreign_path.read_bytes()
    once, (place,) = exposing(model, logits_of(model) or 0)
    again, (same,) = exposing(once, logits_of(once) or 0)
    assert place == same
    assert len(targets.choose().load(again, threads=1).outputs) == 2


def test_filters_are_those_that_were_learned(square_model: Any, square_bundle: Bundle) -> None:
    learned = np.moveaxis(square_model.get_layer("first").get_weights()[0], -1, 0)
    found = first_filters(square_bundle.model)
    assert found.shape == (8, 3, 3, 3)
    assert np.abs(found - learned).max() <= np.abs(learned).max() / 127


def test_a_file_without_convolutions_has_no_filters() -> None:
    from edgecnn.bench.generated import empty_model

    with pytest.raises(ModelError, match="no first convolution"):
        first_filters(empty_model())
    assert feature_layers(empty_model()) == ()
    assert logits_of(empty_model()) is None
