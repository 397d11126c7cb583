"""Classes of many images and of few: what they count, and when a build says so."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn import InputSpec
from edgecnn.build import SeparableNet, Shapes, Sparsify, SplitRule, Train, balance, pipeline
from edgecnn.build.cache import Cache
from edgecnn.build.data import Dataset, Images, Loaded
from tests.build.tiny_recipe import recipe as tiny


def test_classes_count_alike_however_many_images_they_have() -> None:
    labels = np.array([0] * 6 + [1] * 2 + [2] * 4)
    weights = balance.class_weights(labels, 3)
    np.testing.assert_allclose(weights, [12 / 18, 12 / 6, 12 / 12])
    assert weights[labels].mean() == pytest.approx(1)
    np.testing.assert_allclose(np.bincount(labels, weights=weights[labels]), 4)


@pytest.mark.parametrize(("counts", "said"), [((30, 10), False), ((31, 10), True)])
def test_an_imbalance_is_said_from_3_to_1_on(counts: tuple[int, int], said: bool) -> None:
    labels = np.repeat([0, 1], counts)
    line = balance.imbalance(labels, ("cat", "dog"))
    assert (line is not None) is said
    if line:
        assert "cat there are 31" in line
        assert "dog 10" in line
        assert "class_weights=True" in line


@dataclass(frozen=True, kw_only=True)
class FewArrows(Shapes):
    """Shapes, of which training sees three of the first class."""

    def open(self, spec: InputSpec, progress: Any = None) -> Dataset:
        whole = super().open(spec)

        def load(progress: Any, cache: Any) -> Loaded:
            splits = dict(whole.load(progress, cache).splits)
            train = splits["train"]
            kept = np.sort(np.concatenate([np.flatnonzero(train.labels == 0)[:3], np.flatnonzero(train.labels)]))
            digests = tuple(train.digests[index] for index in kept)
            splits["train"] = Images(pixels=train.pixels[kept], labels=train.labels[kept], digests=digests)
            return Loaded(splits=splits)

        return replace(whole, digest="few arrows", _load=load, _loaded=[])


@pytest.mark.parametrize("class_weights", [False, True])
def test_an_imbalance_is_said_once_a_build_and_not_where_it_is_weighed(
    tmp_path: Path, progress: Any, class_weights: bool
) -> None:
    recipe = replace(
        tiny(),
        data=FewArrows(images_per_class=20, rule=SplitRule(validation=0.2, calibration=0.1, test=0.2)),
        input=InputSpec(height=16, width=16),
        architecture=SeparableNet(widths=(8, 8), strides=(2,)),
        stages=(Train(epochs=1, class_weights=class_weights), Sparsify(sparsity=0.5, epochs=1)),
    )
    pipeline.follow(recipe, progress=progress, cache=Cache(tmp_path / "cache"))
    said = [line for line in progress.lines if "class_weights=True" in line]
    assert len(said) == (0 if class_weights else 1)
    assert all(line.startswith("train: ") and "arrow 3" in line for line in said)
    assert sum("samples" in line for line in progress.lines) == 1
