"""Weights of an earlier build, from real networks."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.build import (
    CBAM,
    Earlier,
    EfficientNetLite0,
    Folder,
    InputSpec,
    MobileNetV1,
    MobileNetV2,
    Recipe,
    ResNet8,
    SeparableNet,
    SqueezeExcite,
)
from edgecnn.build.recipe import described
from edgecnn.build.start import give
from edgecnn.errors import EdgecnnError, ModelError, UsageError

SPEC = InputSpec(height=32, width=32)


def built(architecture: Any, classes: int = 5, seed: int = 1) -> Any:
    from edgecnn.build.canonical import canonical
    from edgecnn.build.keras import keras

    keras.backend.clear_session()
    model = canonical(architecture.build(SPEC, classes))
    random = np.random.default_rng(seed)
    model.set_weights([random.uniform(0.1, 1, array.shape) for array in model.get_weights()])
    return model


def recipe_of(architecture: Any) -> Recipe:
    return Recipe(name="x", data=Folder(path="x"), input=SPEC, architecture=architecture, stages=())


def left(model: Any, folder: Path) -> Earlier:
    from edgecnn.build import models

    folder.mkdir(parents=True, exist_ok=True)
    models.save_model(model, folder)
    return Earlier(artifact=str(folder))


@pytest.mark.parametrize(
    "architecture",
    [
        SeparableNet(widths=(8, 16), strides=(2,)),
        EfficientNetLite0(width=0.25, attention=SqueezeExcite()),
        ResNet8(widths=(8, 8, 8)),
        MobileNetV2(width=0.35, attention=CBAM()),
        MobileNetV1(width=0.25),
    ],
)
def test_every_layer_begins_as_it_was(architecture: Any, tmp_path: Path) -> None:
    was = built(architecture)
    start = left(was, tmp_path / "was")
    expected = {layer.name: layer.get_weights() for layer in was.layers if layer.weights}
    arrays = start.arrays(recipe_of(architecture))
    assert list(arrays) == list(expected)
    model = built(architecture, seed=2)
    assert give(model, arrays).fresh == ()
    for name, weights in expected.items():
        for one, other in zip(model.get_layer(name).get_weights(), weights, strict=True):
            assert np.array_equal(one, other), name


def test_what_does_not_fit_stays_fresh(tmp_path: Path) -> None:
    start = left(built(SeparableNet(widths=(8, 16), strides=(2,))), tmp_path / "was")
    wider = SeparableNet(widths=(8, 24), strides=(2,))
    given = give(built(wider, classes=3), start.arrays(recipe_of(wider)))
    assert "logits" in given.fresh
    assert any(name.endswith("pointwise") for name in given.fresh)
    assert "stem" in given.taken


def test_it_is_found_in_the_users_cache(own_cache: Path) -> None:
    left(built(SeparableNet()), own_cache / "0123")
    assert Earlier(artifact="0123").arrays(recipe_of(SeparableNet()))


def test_the_digest_is_of_the_content_and_the_place_is_not_in_the_settings(tmp_path: Path) -> None:
    digests = [
        left(built(SeparableNet(), seed=seed), tmp_path / name).digest(recipe_of(SeparableNet()))
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert digests[0] == digests[1] != digests[2]
    assert described(Earlier(artifact=str(tmp_path))) == {"type": "Earlier", "source": "earlier"}


def refused(kind: type[EdgecnnError], start: Earlier) -> EdgecnnError:
    with pytest.raises(kind) as caught:
        start.arrays(recipe_of(SeparableNet()))
    assert caught.value.received
    assert caught.value.accepted
    assert caught.value.remedy
    return caught.value


def test_one_that_is_not_there_is_said(tmp_path: Path) -> None:
    assert "0123" in str(refused(UsageError, Earlier(artifact="0123")).received)
    (tmp_path / "model.json").write_text("{}")
    assert refused(UsageError, Earlier(artifact=str(tmp_path))).exit_code == 2
    with pytest.raises(UsageError):
        Earlier(artifact="0123").digest(recipe_of(SeparableNet()))


@pytest.mark.parametrize("damage", ["cut", "objects", "config", "fewer", "list"])
def test_a_damaged_one_is_said(damage: str, tmp_path: Path) -> None:
    start = left(built(SeparableNet()), tmp_path)
    config, weights = tmp_path / "model.json", tmp_path / "weights.npz"
    with np.load(weights) as file:
        arrays = list(file.values())
    if damage == "cut":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif damage == "objects":  # numpy's pickles
        np.savez(weights, *arrays[:-1], np.array([{}], object))
    elif damage == "fewer":
        np.savez(weights, *arrays[:-1])
    else:
        config.write_text("[" if damage == "config" else json.dumps([1]))
    refused(ModelError, start)
