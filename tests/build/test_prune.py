"""Which channels go, how many, and what is left: on networks with random weights, and through the stage itself."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn import InputSpec
from edgecnn.board import OnRun, ThisComputer, unseen
from edgecnn.build import Convert, Gate, PruneChannels, ResNet8, SeparableNet, Train, Verify, budgets, feed
from edgecnn.build.cache import Cache
from edgecnn.build.channels import Channels
from edgecnn.build.data import Images
from edgecnn.build.importance import importance, least, remove
from edgecnn.build.keras import keras
from edgecnn.build.recipe import Artifact, Context
from edgecnn.errors import GateError
from tests.build.test_channels import randomized
from tests.build.tiny_recipe import recipe as tiny

SPEC = InputSpec(height=16, width=16)
PIXELS = np.random.default_rng(2).integers(0, 256, (64, 16, 16, 3), np.uint8)
IMAGES = Images(pixels=PIXELS, labels=np.arange(64) % 5, digests=("",) * 64)


@pytest.fixture
def model() -> Any:
    keras.backend.clear_session()
    return randomized(ResNet8(widths=(16, 24, 32)).build(SPEC, 5))


def counts(channels: Channels, alive: Any) -> list[int]:
    return [int(alive[group.ids].sum()) for group in channels.groups]


@pytest.mark.parametrize("criterion", ["taylor", "bn_scale"])
def test_channels_that_do_nothing_go_first(model: Any, criterion: str) -> None:
    channels = Channels(model)
    dead = [group.ids[:8] for group in channels.groups]
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            silent = np.isin(channels.made_by(layer.name), np.concatenate(dead))
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights([np.where(silent, 0, gamma), np.where(silent, 0, beta), mean, variance])
    scores = importance(model, channels, IMAGES, SPEC, criterion)
    everything = np.ones(channels.count, bool)
    without = everything.copy()
    without[np.concatenate(dead)] = False
    left = remove(channels, everything, scores, {"macs": channels.cost(without).macs}, 8)
    assert np.array_equal(left, without)


def test_taylor_is_the_change_of_the_loss_to_first_order(model: Any) -> None:
    """Scaling down what a batch norm puts out by a thousandth changes the loss by a thousandth of the slope."""
    channels, one = Channels(model), IMAGES.sample(16)
    layer = model.get_layer("block3_a_bn")
    batch, labels = next(iter(feed.in_order(one, SPEC, 64)))
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    gamma, beta, mean, variance = layer.get_weights()
    before = float(loss_of(labels, model(batch, training=False)))
    scores = importance(model, channels, one, SPEC, "taylor")[channels.made_by("block3_a_bn")]
    for channel in np.argsort(-scores)[:3]:
        scale = np.ones(len(gamma), np.float32)
        scale[channel] = 1 - 1e-2
        layer.set_weights([gamma * scale, beta * scale, mean, variance])
        slope = (float(loss_of(labels, model(batch, training=False))) - before) / -1e-2
        layer.set_weights([gamma, beta, mean, variance])
        assert scores[channel] == pytest.approx(slope**2, rel=0.1)


@pytest.mark.parametrize("limits", [{"macs": 700_000}, {"size_bytes": 20_000}, {"macs": 800_000, "size_bytes": 15_000}])
def test_limits_are_met_with_multiples_and_not_by_more_than_a_choice(model: Any, limits: dict[str, float]) -> None:
    channels = Channels(model)
    everything = np.ones(channels.count, bool)
    scores = importance(model, channels, IMAGES, SPEC, "taylor")
    alive = remove(channels, everything, scores, limits, 8)
    cost = vars(channels.cost(alive))
    assert all(cost[name] <= limit for name, limit in limits.items())
    assert all(count % 8 == 0 and count >= 8 for count in counts(channels, alive))
    for group in channels.groups:  # nothing could come back
        gone = group.ids[~alive[group.ids]]
        if len(gone):
            more = alive.copy()
            more[gone[np.argsort(-scores[gone])][:8]] = True
            again = vars(channels.cost(more))
            assert any(again[name] > limit for name, limit in limits.items())


def test_counts_that_are_no_multiple_become_one_first() -> None:
    channels = Channels(SeparableNet(widths=(8, 20, 12), strides=(1, 1)).build(SPEC, 5))
    assert counts(channels, least(channels, 8)) == [8, 8, 8]
    everything = np.ones(channels.count, bool)
    scores = np.ones(channels.count)
    alive = remove(channels, everything, scores, {"macs": channels.cost(everything).macs - 1}, 8)
    assert 16 in counts(channels, alive) or 8 in counts(channels, alive)[1:]


def context(tmp_path: Path, progress: Any, stage: PruneChannels, model: Any) -> Context:
    """As the pipeline makes it, after a training that never happened."""
    from edgecnn.build import models

    recipe = replace(
        tiny(), architecture=ResNet8(widths=(16, 16, 16)), stages=(Train(epochs=1), stage, *tiny().stages[-2:])
    )
    data = recipe.data.open(recipe.input)
    data.load(progress)
    (tmp_path / "train").mkdir(exist_ok=True)
    trained = Artifact(kind="keras", files=models.save_model(model, tmp_path / "train"), key="0" * 32)
    workspace = Cache(tmp_path / "cache").workspace("k")
    return Context(recipe=recipe, data=data, history=(trained,), workspace=workspace, progress=progress)


@pytest.fixture
def wide() -> Any:
    keras.backend.clear_session()
    return randomized(ResNet8(widths=(16, 16, 16)).build(InputSpec(height=32, width=32), 9))


def test_the_stage_reaches_bytes_of_the_file_in_steps(tmp_path: Path, progress: Any, wide: Any) -> None:
    stage = PruneChannels(size_bytes=19_000, steps=2, step_epochs=1, epochs=1)
    surrounding = context(tmp_path, progress, stage, wide)
    made = stage.run(surrounding.history[0], surrounding)
    way = made.metrics["pruning"]
    sizes = [step["size_bytes"] for step in way]
    assert sizes[0] > sizes[1] > sizes[2]
    assert sizes[2] <= 19_000
    assert sizes[1] <= round((sizes[0] * 19_000) ** 0.5)
    assert set(way[-1]["channels"]) == {g for group in Channels(wide).groups for g in group.layers}
    assert all("val_accuracy" in step for step in way[1:])


def test_class_maps_are_measured_as_they_ship(tmp_path: Path, progress: Any, wide: Any) -> None:
    """The dense layer once more, as a convolution: 16 channels to 9 classes, and what describes it."""
    stage = PruneChannels(size_bytes=19_000, epochs=1)
    without = context(tmp_path, progress, stage, wide)
    maps = replace(without.recipe, stages=(*without.recipe.stages[:2], Convert(class_maps=True), Verify(runs=3)))
    sizes = [stage._measured(wide, replace(without, recipe=each))["size_bytes"] for each in (without.recipe, maps)]
    assert sizes[1] > sizes[0] + 16 * 9
    assert stage.beyond(without.recipe) != stage.beyond(maps)


def test_what_was_decided_is_not_decided_again(tmp_path: Path, progress: Any, wide: Any) -> None:
    """A latency is never measured twice alike: a build that goes on takes the channels that it chose."""
    stage = PruneChannels(p50_ms=1e-9, steps=1, step_epochs=1, epochs=1)
    surrounding = context(tmp_path, progress, stage, wide)
    first = stage.run(surrounding.history[0], surrounding)
    again = stage.run(surrounding.history[0], surrounding)
    assert first.metrics["pruning"][1:] == again.metrics["pruning"][1:]
    assert set(first.metrics["pruning"][-1]["channels"].values()) == {8}


class Pi:
    """In the place of a board: a millisecond for each 10,000 bytes of a file."""

    def __init__(self) -> None:
        self.measured = 0

    def facts(self) -> dict[str, Any]:
        return {"on": "pi", "board": "Raspberry Pi 5", "processor": None, "cores": 4, "runtime": "litert"}

    def p50s_ms(self, models: Sequence[bytes], *, runs: int, on_run: OnRun = unseen) -> list[float]:
        self.measured += len(models)
        return [len(model) / 1e4 for model in models]


def test_a_latency_is_that_of_the_board(tmp_path: Path, progress: Any, wide: Any) -> None:
    stage, board = PruneChannels(p50_ms=1.9, steps=1, epochs=1), Pi()
    surrounding = replace(context(tmp_path, progress, stage, wide), board=board)
    way = stage.run(surrounding.history[0], surrounding).metrics["pruning"]
    assert way[0]["p50_ms"] > 1.9 >= way[-1]["p50_ms"]
    assert board.measured >= 2


def test_only_what_is_timed_is_made_anew_for_another_board() -> None:
    from edgecnn.build.pipeline import _beyond

    here, there, recipe = ThisComputer(), Pi(), tiny()
    anew = [stage.name for stage in recipe.stages if _beyond(stage, recipe, here) != _beyond(stage, recipe, there)]
    assert anew == ["verify"]
    timed = budgets.Budgets(p50_ms=5.0).on(recipe)
    anew = [stage.name for stage in timed.stages if _beyond(stage, timed, here) != _beyond(stage, timed, there)]
    assert anew == ["prune-channels", "verify"]


def test_nothing_is_removed_where_the_budget_is_met(tmp_path: Path, progress: Any, wide: Any) -> None:
    from edgecnn.build import models

    stage = PruneChannels(size_bytes=10**6, epochs=1)
    surrounding = context(tmp_path, progress, stage, wide)
    made = stage.run(surrounding.history[0], surrounding)
    kept = models.rebuilt(made.files[models.CONFIG], made.files[models.WEIGHTS])
    assert all(np.array_equal(a, b) for a, b in zip(kept.get_weights(), wide.get_weights(), strict=True))


def test_a_budget_out_of_reach_is_said_with_the_least(tmp_path: Path, progress: Any, wide: Any) -> None:
    stage = PruneChannels(size_bytes=5_000, epochs=1)
    with pytest.raises(GateError, match="out of reach") as caught:
        stage.check(wide, context(tmp_path, progress, stage, wide))
    assert caught.value.exit_code == 3
    assert "size_bytes of 1" in str(caught.value.accepted)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "takes a target"),
        ({"macs": 0}, "positive macs"),
        ({"macs": 1, "steps": 0}, "steps of at least 1"),
        ({"macs": 1, "multiple": 0}, "multiple of at least 1"),
        ({"macs": 1, "criterion": "luck"}, "taylor or bn_scale"),
        ({"macs": 1, "epochs": 0}, "at least 1 epoch"),
    ],
)
def test_mistakes_are_said(settings: dict[str, Any], said: str) -> None:
    assert any(said in problem for problem in PruneChannels(**{"epochs": 1, **settings}).problems())


def test_budgets_are_gates_and_what_channels_are_removed_for() -> None:
    built = budgets.Budgets(drop=0.01, size_bytes=50_000).on(tiny())
    assert {gate.name: gate.limit for gate in built.gates} == {"agreement": 0.5, "drop": 0.01, "size_bytes": 50_000}
    prune = next(stage for stage in built.stages if isinstance(stage, PruneChannels))
    assert (prune.size_bytes, prune.macs, prune.p50_ms) == (50_000, 50_000, None)


def test_a_recipe_without_pruning_gets_it_after_training() -> None:
    plain = replace(tiny(), stages=tuple(s for s in tiny().stages if not isinstance(s, PruneChannels)))
    assert budgets.Budgets(drop=0.01).on(plain).stages == plain.stages
    built = budgets.Budgets(p50_ms=5.0).on(plain)
    assert [stage.name for stage in built.stages][1:3] == ["train", "prune-channels"]
    built.check()
    assert Gate(name="p50_ms", limit=5.0) in built.gates
