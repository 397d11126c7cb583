"""Every architecture, from images to a proved int8 file, through every stage that a recipe may have.

What is learned is easy, so that a training of seconds is enough and what is left to disagree about is the conversion.
"""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn import InputSpec
from edgecnn.build import (
    CBAM,
    Convert,
    ConvNet,
    EfficientNetLite0,
    EfficientNetLite1,
    EfficientNetLite2,
    Inception,
    MobileNetV1,
    MobileNetV2,
    PruneChannels,
    Quantize,
    Recipe,
    ResNet8,
    ResNet18,
    ResNet20,
    SeparableNet,
    Sparsify,
    SplitRule,
    SqueezeExcite,
    Train,
    Verify,
    pipeline,
)
from edgecnn.build.cache import Cache
from edgecnn.build.channels import Channels
from edgecnn.build.data import Dataset, Item, of_items
from edgecnn.build.keras import keras
from edgecnn.preprocess import Pixels
from tests.build.architectures.test_architectures import label

SPEC = InputSpec(height=48, width=48)
CLASSES = 4
SMALL: dict[str, Any] = {"width": 0.25, "depth": 0.25}
IN_CI = (
    ConvNet(widths=(8, 16, 16), depth=1),
    ConvNet(widths=(16, 16, 16), depth=2, attention=SqueezeExcite()),
    MobileNetV2(**SMALL),
)
SLOW = (
    ResNet8(widths=(16, 16, 32)),
    SeparableNet(widths=(16, 16, 32, 32), strides=(2, 1, 2)),
    ResNet20(width=0.5, depth=0.3, attention=SqueezeExcite()),
    ResNet20(width=0.5, depth=0.3, attention=CBAM()),
    ResNet18(**SMALL),
    Inception(**SMALL),
    Inception(**SMALL, attention=CBAM()),
    MobileNetV1(**SMALL),
    MobileNetV1(**SMALL, attention=SqueezeExcite()),
    MobileNetV2(**SMALL, attention=CBAM()),
    EfficientNetLite0(**SMALL),
    EfficientNetLite1(width=0.25, depth=0.5),
    EfficientNetLite2(width=0.35, depth=0.5),
)


@dataclass(frozen=True, kw_only=True)
class Gratings:
    """Noisy stripes of random colours, whose direction is the class: what one layer of a CNN can tell apart."""

    images_per_class: int
    rule: SplitRule = SplitRule(validation=0.15, calibration=0.1, test=0.25)

    def problems(self) -> list[str]:
        return []

    def open(self, spec: InputSpec, progress: Any = None) -> Dataset:
        labels = tuple(f"{degrees:03}" for degrees in range(0, 180, 180 // CLASSES))
        truth = [index for index in range(len(labels)) for _ in range(self.images_per_class)]

        random = np.random.default_rng(0)
        images = [self._drawn(np.pi * index / len(labels), spec, random) for index in truth]
        items = [
            Item(name="", label=index, digest=sha256(image.tobytes()).hexdigest())
            for index, image in zip(truth, images, strict=True)
        ]
        content = self.images_per_class
        return of_items(labels, items, lambda index: images[index], content=content, rule=self.rule, spec=spec)

    def _drawn(self, angle: float, spec: InputSpec, random: np.random.Generator) -> Pixels:
        y, x = np.mgrid[: spec.height, : spec.width]
        length, phase = random.uniform(5, 9), random.uniform(0, 2 * np.pi)
        wave = np.sin(2 * np.pi / length * (x * np.cos(angle) + y * np.sin(angle)) + phase)
        middle, contrast = random.uniform(90, 160, 3), random.choice([-1, 1], 3) * random.uniform(30, 80, 3)
        noise = random.normal(0, 10, spec.shape)
        return np.clip(middle + contrast * wave[..., None] + noise, 0, 255).astype(np.uint8)


def macs_of(architecture: Any) -> int:
    keras.backend.clear_session()
    channels = Channels(architecture.build(SPEC, CLASSES))
    return channels.cost(np.ones(channels.count, bool)).macs


@pytest.mark.parametrize(
    "architecture", [*IN_CI, *(pytest.param(each, marks=pytest.mark.slow) for each in SLOW)], ids=label
)
def test_the_whole_way(architecture: Any, tmp_path: Path, progress: Any) -> None:
    """`Verify` itself proves types, scales and zeros; a file that breaks one of these ends the build."""
    before = macs_of(architecture)
    recipe = Recipe(
        name="whole-way",
        data=Gratings(images_per_class=300),
        input=SPEC,
        architecture=architecture,
        stages=(
            Train(epochs=8, batch_size=32),
            PruneChannels(macs=before * 9 // 10, steps=1, epochs=2, batch_size=32),
            Sparsify(sparsity=0.5, epochs=2, batch_size=32),
            Quantize(epochs=2, batch_size=32, frozen=0.5),
            Convert(),
            Verify(runs=1),
        ),
    )
    report = pipeline.run(recipe, out=tmp_path / "out", progress=progress, cache=Cache(tmp_path / "cache"))
    facts = {name: report["int8"][name] for name in ("method", "accuracy", "agreement", "sparsity")}
    print(label(architecture), facts, [stage["seconds"] for stage in report["stages"]])  # noqa: T201
    assert report["pruning"][-1]["macs"] <= 0.9 * before
    assert report["int8"]["sparsity"] > 0.4
    assert report["int8"]["float_layers"] == []
    assert report["int8"]["accuracy"] > 0.6, "what has learned nothing agrees by chance"
    assert report["int8"]["agreement"] >= 0.98
