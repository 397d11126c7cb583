"""Every architecture: what its paper says it costs, and that all of the build can work with it."""

from typing import Any

import numpy as np
import pytest

from edgecnn import InputSpec
from edgecnn.build import (
    CBAM,
    ConvNet,
    EfficientNetLite0,
    EfficientNetLite1,
    EfficientNetLite2,
    Inception,
    MobileNetV1,
    MobileNetV2,
    ResNet8,
    ResNet18,
    ResNet20,
    SeparableNet,
    SqueezeExcite,
)
from edgecnn.build.architectures.attention import Attention
from edgecnn.build.canonical import canonical
from edgecnn.build.channels import Channels
from edgecnn.build.keras import keras
from edgecnn.build.quantizable import check
from edgecnn.build.recipe import described
from tests.build.test_channels import SPEC, assert_nothing_changes

SMALL: dict[str, Any] = {"width": 0.25, "depth": 0.5}
SCALED = (ResNet20, ResNet18, Inception, MobileNetV1, MobileNetV2, EfficientNetLite0)
ATTENTION: tuple[Attention, ...] = (SqueezeExcite(), CBAM())
NETWORKS = (
    ResNet8(widths=(8, 16, 32)),
    SeparableNet(),
    ConvNet(widths=(8, 16, 32)),
    *(kind(**SMALL) for kind in SCALED),
    EfficientNetLite1(width=0.25),
    EfficientNetLite2(width=0.25),
    *(ConvNet(widths=(8, 16), attention=attention) for attention in ATTENTION),
    *(kind(**SMALL, attention=attention) for kind in SCALED for attention in ATTENTION),
)
PAPERS = (  # size in pixels, classes, parameters and MACs in millions, each as far as the paper says it
    (ResNet8(), 32, 10, 0.078, 12.5, 0.01),  # MLPerf Tiny, table 1 and its model
    (ResNet20(), 32, 10, 0.27, 40.8, 0.02),  # table 6; the MACs, which it does not say, are ours
    (ResNet20(depth=3), 32, 10, 0.85, 125.7, 0.02),
    (ResNet18(), 224, 1000, 11.7, 1800, 0.01),  # table 1: 1.8 billion
    (Inception(), 224, 1000, 6.8, 1502, 0.06),  # sums of table 1, which are not exact
    (MobileNetV1(), 224, 1000, 4.2, 569, 0.01),
    (MobileNetV1(width=0.5), 160, 1000, 1.32, 76, 0.02),
    (MobileNetV2(), 224, 1000, 3.4, 300, 0.035),  # table 4
    (MobileNetV2(width=1.4), 224, 1000, 6.06, 582, 0.02),  # the authors' table of checkpoints
    (EfficientNetLite0(), 224, 1000, 4.7, 407, 0.06),  # the authors' table counts more than the kernels
    (EfficientNetLite1(), 240, 1000, 5.4, 631, 0.06),
    (EfficientNetLite2(), 260, 1000, 6.1, 899, 0.06),
)


def label(value: Any) -> str:
    """The name of an architecture, and of its attention."""
    attention = getattr(value, "attention", None)
    return type(value).__name__ + (f"-{type(attention).__name__}" if attention else "")


def built(architecture: Any, spec: InputSpec = SPEC, classes: int = 7) -> Any:
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    return architecture.build(spec, classes)


def convolutions(model: Any) -> int:
    return sum(isinstance(layer, keras.layers.Conv2D) for layer in model.layers)


@pytest.mark.parametrize(
    ("architecture", "size", "classes", "parameters", "macs", "tolerance"),
    PAPERS,
    ids=lambda value: repr(value) if hasattr(value, "build") else "",
)
def test_it_costs_what_the_paper_says(
    architecture: Any, size: int, classes: int, parameters: float, macs: float, tolerance: float
) -> None:
    model = built(architecture, InputSpec(height=size, width=size), classes)
    trained = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    channels = Channels(model)
    assert trained / 1e6 == pytest.approx(parameters, rel=tolerance)
    assert channels.cost(np.ones(channels.count, bool)).macs / 1e6 == pytest.approx(macs, rel=tolerance)


@pytest.mark.parametrize("architecture", NETWORKS, ids=label)
def test_all_of_the_build_can_work_with_it(architecture: Any) -> None:
    assert architecture.problems() == []
    model = built(architecture)
    assert (model.input_shape, model.output_shape) == ((None, *SPEC.shape), (None, 7))
    assert model.layers[-1].get_config()["activation"] == "linear"
    assert canonical(model) is model
    check(model)
    assert_nothing_changes(model)


@pytest.mark.parametrize("kind", SCALED)
def test_it_takes_any_size_and_grows_in_width_and_in_depth(kind: Any) -> None:
    spec = InputSpec(height=37, width=21)
    small, wide, deep = (built(kind(width=w, depth=d), spec) for w, d in ((0.25, 0.25), (0.5, 0.25), (0.25, 0.75)))
    assert np.isfinite(small(np.zeros((1, *spec.shape), np.float32)).numpy()).all()
    assert small.count_params() < wide.count_params()
    assert convolutions(small) == convolutions(wide) < convolutions(deep)


@pytest.mark.parametrize("kind", SCALED)
@pytest.mark.parametrize("attention", ATTENTION, ids=label)
def test_a_block_of_attention_weighs_every_block(kind: Any, attention: Attention) -> None:
    small = {"width": 0.25, "depth": 0.25}
    plain, with_it = built(kind(**small)), built(kind(**small, attention=attention))
    added = [layer for layer in with_it.layers if layer.name.endswith("_weighed")]
    assert {layer.name for layer in plain.layers} < {layer.name for layer in with_it.layers}
    blocks = {layer.name.split("_attention_")[0] for layer in added}
    assert len(blocks) >= 3
    assert len(added) == len(blocks) * (2 if isinstance(attention, CBAM) else 1)


def test_attention_is_between_zero_and_one_for_each_channel_and_pixel() -> None:
    image = keras.layers.Input((6, 6, 16))
    x = np.random.default_rng(0).uniform(0.5, 1, (2, 6, 6, 16)).astype(np.float32)
    gates = {}
    for attention in ATTENTION:
        y = keras.Model(image, attention.apply(image, label(attention)))(x).numpy()
        gates[type(attention)] = y / x
        assert ((gates[type(attention)] > 0) & (gates[type(attention)] < 1)).all()
    assert np.ptp(gates[SqueezeExcite], axis=(1, 2)).max() < 1e-5  # the same for all pixels
    assert np.ptp(gates[CBAM], axis=(1, 2)).max() > 1e-3


@pytest.mark.parametrize(
    ("architecture", "problem"),
    [
        (ResNet8(widths=(8, 0, 8)), "three positive widths"),
        (ResNet8(stem_stride=3), "ResNet8's stem_stride is 1, 2 or 4, not 3"),
        (ResNet20(stem_stride=8), "ResNet20's stem_stride is 1, 2 or 4, not 8"),
        (ConvNet(widths=()), "at least one"),
        (ConvNet(depth=0), "a depth of at least 1"),
        (ConvNet(attention=CBAM(kernel_size=4)), "an odd kernel_size, not 4"),
        *((kind(width=-1.0), f"{kind.__name__} takes a positive width, not -1.0") for kind in SCALED),
        (MobileNetV2(depth=float("nan")), "a positive depth, not nan"),
        (MobileNetV2(attention=SqueezeExcite(reduction=0)), "SqueezeExcite takes a reduction of at least 1, not 0"),
    ],
)
def test_a_mistake_in_the_settings_is_named(architecture: Any, problem: str) -> None:
    (found,) = architecture.problems()
    assert problem in found


def test_the_first_networks_are_described_as_ever() -> None:
    """Trained ones are in caches, by this."""
    assert described(ResNet8()) == {"type": "ResNet8", "widths": (16, 32, 64), "stem_stride": 1}
    widths, strides = (16, 32, 48, 48, 96, 96, 160, 160), (1, 2, 1, 2, 1, 2, 1)
    assert described(SeparableNet()) == {"type": "SeparableNet", "widths": widths, "strides": strides}
    names = [layer.name for layer in built(ResNet8()).layers]
    assert names[:4] == ["image", "stem", "stem_bn", "stem_relu"]
    assert names[-9:] == [
        *("block3_a_relu", "block3_b", "block3_shortcut", "block3_b_bn", "block3_shortcut_bn"),
        *("block3_add", "block3_relu", "pool", "logits"),
    ]


def test_the_layers_of_efficientnet_lite_are_those_of_the_published_weights() -> None:
    names = {layer.name for layer in built(EfficientNetLite0(width=0.25)).layers}
    blocks = {f"block{number}_{part}" for number in range(16) for part in ("expand", "depthwise", "project")}
    convolutions = blocks - {"block0_expand"} | {"stem", "head"}
    assert convolutions | {f"{name}_bn" for name in convolutions} | {"logits"} <= names
    assert not any(name.startswith("block16") for name in names)
