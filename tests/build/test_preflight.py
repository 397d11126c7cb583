"""What can be known before training is known before training."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn import InputSpec
from edgecnn.build import (
    Convert,
    Gate,
    MobileNetV1,
    MobileNetV2,
    PruneChannels,
    Quantize,
    ResNet8,
    Sparsify,
    Teach,
    Train,
    Verify,
    budgets,
    models,
)
from edgecnn.build import pipeline as building
from edgecnn.build.cache import Cache
from edgecnn.build.keras import keras, tf
from edgecnn.build.recipe import Context, Recipe, Stage
from edgecnn.errors import EdgecnnError, GateError, ModelError
from tests.build.tiny_recipe import recipe as tiny

layers = keras.layers
STAGES: tuple[Stage, ...] = (Train(epochs=1), Quantize(epochs=1), Convert(), Verify(runs=3))


@dataclass(frozen=True, kw_only=True)
class Network:
    """As a user writes one in a recipe."""

    block: str = "plain"
    classes: int | None = None

    def problems(self) -> list[str]:
        return []

    def build(self, spec: InputSpec, classes: int) -> Any:
        image = layers.Input(spec.shape)
        x = layers.Conv2D(8, 3, strides=4, name="first")(image)
        if self.block == "lambda":
            x = layers.Lambda(lambda y: y * y, name="squares")(x)
        if self.block == "swish":
            x = layers.PReLU(shared_axes=[1, 2])(layers.Rescaling(0.5)(x * tf.nn.relu6(x + 3.0) * (1 / 6)))
        if self.block == "elu":
            x = layers.ELU(name="smooth")(x)
        if self.block in ("nested", "frozen"):
            inside = [layers.Conv2D(8, 3), layers.BatchNormalization(), layers.ReLU()]
            base = keras.Sequential([layers.Input(x.shape[1:]), *inside], name="base")
            base.trainable = self.block != "frozen"
            x = base(x, training=False)
        return keras.Model(image, layers.Dense(self.classes or classes)(layers.GlobalAveragePooling2D()(x)))


def built(tmp_path: Path, progress: Any, **changes: Any) -> dict[str, Any]:
    recipe: Recipe = replace(tiny(), **{"stages": STAGES, "gates": (), **changes})
    return building.run(recipe, out=tmp_path / "out", progress=progress, cache=Cache(tmp_path / "cache"))


def refused(tmp_path: Path, progress: Any, kind: type[EdgecnnError], **changes: Any) -> EdgecnnError:
    """The error, and that nothing was trained before it."""
    with pytest.raises(kind) as caught:
        built(tmp_path, progress, **changes)
    assert not any("epoch" in line for line in progress.lines)
    assert not any("epoch" in note for _, _, note in progress.updates)
    return caught.value


@pytest.mark.parametrize(("block", "layer", "kind"), [("lambda", "squares", "Lambda"), ("elu", "smooth", "ELU")])
def test_a_layer_that_cannot_be_quantized_is_named_with_a_remedy(
    tmp_path: Path, progress: Any, block: str, layer: str, kind: str
) -> None:
    error = refused(tmp_path, progress, ModelError, architecture=Network(block=block))
    assert error.exit_code == 5
    assert f"{layer} ({kind}" in str(error.received)
    assert layer in str(error.remedy)


def test_without_quantize_what_would_stay_in_float_is_said_all_the_same(tmp_path: Path, progress: Any) -> None:
    stages = tuple(stage for stage in STAGES if not isinstance(stage, Quantize))
    refused(tmp_path, progress, ModelError, architecture=Network(block="elu"), stages=stages)


def test_a_network_that_does_not_fit_the_classes(tmp_path: Path, progress: Any) -> None:
    error = refused(tmp_path, progress, ModelError, architecture=Network(classes=4))
    assert "does not fit the data" in error.message
    assert "(4,)" in str(error.received)
    assert "9" in str(error.accepted)


def test_a_teacher_that_does_not_fit_the_classes(tmp_path: Path, progress: Any) -> None:
    stages = (Teach(architecture=Network(classes=4), epochs=1), *STAGES)
    refused(tmp_path, progress, ModelError, stages=stages)


def test_a_layer_that_cannot_be_pruned_is_named(tmp_path: Path, progress: Any) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Grouped(Network):
        def build(self, spec: InputSpec, classes: int) -> Any:
            image = layers.Input(spec.shape)
            x = layers.Conv2D(8, 3, groups=2, name="grouped")(layers.Conv2D(8, 3, strides=4)(image))
            return keras.Model(image, layers.Dense(classes)(layers.GlobalAveragePooling2D()(x)))

    stages = (STAGES[0], PruneChannels(macs=1, epochs=1), Convert(), Verify(runs=3))
    error = refused(tmp_path, progress, ModelError, architecture=Grouped(), stages=stages)
    assert "grouped" in str(error.received)


def test_an_impossible_budget_is_said_with_what_can_be_reached(tmp_path: Path, progress: Any) -> None:
    recipe = budgets.Budgets(size_bytes=5_000).on(replace(tiny(), stages=STAGES))
    with pytest.raises(GateError, match="out of reach") as caught:
        building.run(recipe, out=tmp_path / "out", progress=progress, cache=Cache(tmp_path / "cache"))
    assert caught.value.exit_code == 3
    assert not [line for line in progress.lines if not line.startswith("where it failed")]


def test_budgets_that_cannot_be_met_together_leave_the_nearest_and_its_trade_off(tmp_path: Path, progress: Any) -> None:
    """Small enough it is; that nothing is lost cannot be."""
    plain = replace(tiny(), architecture=ResNet8(widths=(8, 16, 16), stem_stride=2), stages=STAGES)
    recipe = budgets.Budgets(size_bytes=26_000).on(plain)
    recipe = replace(recipe, gates=(*recipe.gates, Gate(name="accuracy", limit=1.0)))
    report = building.run(recipe, out=tmp_path / "out", progress=progress, cache=Cache(tmp_path / "cache"))
    passed = {gate["name"]: gate["passed"] for gate in report["gates"]}
    assert passed["size_bytes"]
    assert not passed["accuracy"]
    sizes = [step["size_bytes"] for step in report["pruning"]]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] <= 26_000
    assert (tmp_path / "out" / "tiny.tflite").exists()


def test_a_network_inside_the_network_is_flattened_and_goes_all_the_way(tmp_path: Path, progress: Any) -> None:
    report = built(tmp_path, progress, architecture=Network(block="nested"))
    assert report["int8"]["agreement"] > 0.5
    assert "conv2d" in " ".join(each["layer"] for each in report["sensitivity"])


def test_what_was_frozen_in_training_is_trained_where_it_is_pruned(tmp_path: Path, progress: Any) -> None:
    """As the base of transfer learning is: its zeros are kept through QAT, and it makes up for them."""
    stages = (STAGES[0], Sparsify(sparsity=0.5, epochs=1), *STAGES[1:])
    report = built(tmp_path, progress, architecture=Network(block="frozen"), stages=stages)
    assert report["int8"]["sparsity"] >= 0.45
    trained, pruned = (
        np.load(Cache(tmp_path / "cache").root / report["stages"][number]["key"] / models.WEIGHTS)["arr_2"]
        for number in (0, 1)
    )
    assert trained.shape == pruned.shape == (3, 3, 8, 8)
    assert (pruned == 0).mean() == pytest.approx(0.5, abs=0.01)
    assert not np.array_equal(trained[pruned != 0], pruned[pruned != 0])


def test_layers_that_tfmot_does_not_know_are_no_reason_not_to_prune(tmp_path: Path, progress: Any) -> None:
    stages = (STAGES[0], Sparsify(sparsity=0.5, epochs=1), *STAGES[1:])
    report = built(tmp_path, progress, architecture=Network(block="swish"), stages=stages)
    assert report["int8"]["sparsity"] >= 0.45


def test_two_kinds_of_teacher_with_the_same_settings_are_not_one() -> None:
    teachers = [Teach(architecture=architecture, epochs=1) for architecture in (MobileNetV1(), MobileNetV2())]
    assert teachers[0].beyond(tiny()) != teachers[1].beyond(tiny())


def test_what_is_built_is_flat_and_the_same_each_time(progress: Any, tmp_path: Path) -> None:
    recipe = replace(tiny(), architecture=Network(block="nested"))
    data = recipe.data.open(recipe.input)
    context = Context(recipe=recipe, data=data, history=(), workspace=tmp_path, progress=progress)
    first, second = (models.build(recipe.architecture, context) for _ in range(2))
    assert not any(isinstance(layer, keras.Model) for layer in first.layers)
    assert [layer.name for layer in first.layers] == [layer.name for layer in second.layers]
    assert all(np.array_equal(a, b) for a, b in zip(first.get_weights(), second.get_weights(), strict=True))
