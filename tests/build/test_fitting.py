"""What a training asks for, keeps and repeats, on a network of 16 px that trains in a second."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.build import (
    Crop,
    Distill,
    Flip,
    InputSpec,
    Quantize,
    SeparableNet,
    Shapes,
    Sparsify,
    SplitRule,
    Train,
    fake_quantization,
    feed,
    fitting,
    losses,
    mixed,
    models,
    training_log,
)
from edgecnn.build.data import Images
from edgecnn.build.keras import keras, tf
from edgecnn.build.recipe import Artifact, Context
from edgecnn.build.schedule import Schedule
from tests.build.tiny_recipe import recipe as tiny

SPEC = InputSpec(height=16, width=16)
RECIPE = replace(
    tiny(),
    data=Shapes(images_per_class=16, rule=SplitRule(validation=0.2, calibration=0.1, test=0.2)),
    input=SPEC,
    architecture=SeparableNet(widths=(8, 8), strides=(2,)),
    augment=(Flip(), Crop(border=1)),
)


@pytest.fixture(scope="module")
def data() -> Any:
    from tests.conftest import Quiet

    dataset = RECIPE.data.open(SPEC)
    dataset.load(Quiet())
    return dataset


@pytest.fixture
def context(data: Any, tmp_path: Path, progress: Any) -> Context:
    return Context(recipe=RECIPE, data=data, history=(), workspace=tmp_path, progress=progress)


def trained(context: Context, schedule: Schedule, **options: Any) -> tuple[Any, list[dict[str, float]]]:
    model = models.build(RECIPE.architecture, context)
    return model, fitting.fit(model, context, schedule, **options)


class Killed(Exception):
    """A build that ends here."""


class KillAfter(keras.callbacks.Callback):  # type: ignore[misc]
    """Ends the training in the middle of an epoch."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self._epoch, self._now = epoch, 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._now = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self._now == self._epoch:
            raise Killed


def same(ours: Sequence[Any], theirs: Sequence[Any]) -> bool:
    return len(ours) == len(theirs) and all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize(
    "settings",
    [
        {"averaging": 0.9, "weight_decay": 0.01, "label_smoothing": 0.1, "class_weights": True},
        {"patience": 1, "averaging": 0.9},
    ],
)
def test_a_training_that_was_killed_goes_on_to_the_same_bits(
    context: Context, tmp_path: Path, settings: dict[str, Any]
) -> None:
    schedule = Train(epochs=4, batch_size=16, **settings)
    rates = {"stem": 0.0, "block1_depthwise": 0.5}

    def factor(name: str) -> float:
        return rates.get(name, 1.0)

    model, history = trained(context, schedule, rates=factor)
    elsewhere = replace(context, workspace=tmp_path / "killed")
    elsewhere.workspace.mkdir()
    for epoch in (1, len(history) - 1):
        with pytest.raises(Killed):
            trained(elsewhere, schedule, rates=factor, callbacks=[KillAfter(epoch)])
    again, its_history = trained(elsewhere, schedule, rates=factor)
    assert its_history == history
    assert same(again.get_weights(), model.get_weights())
    once_more, _ = trained(elsewhere, schedule, rates=factor, callbacks=[KillAfter(len(history))])  # nothing is left
    assert same(once_more.get_weights(), model.get_weights())


def test_smoothed_labels_are_those_of_the_paper() -> None:
    """Szegedy et al. 2016, section 7: (1 - e) of the label and e / K of each class."""
    logits, labels = np.array([[2.0, -1.0, 0.5], [0.1, 0.2, 0.3]], np.float32), np.array([[0.0], [2.0]], np.float32)
    scores = np.log(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))
    wanted = np.array([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8]])
    smoothed = losses.loss(Train(epochs=1, label_smoothing=0.3))
    np.testing.assert_allclose(smoothed(labels, logits), -(wanted * scores).sum(axis=1), rtol=1e-5)
    plain = losses.loss(Train(epochs=1))
    np.testing.assert_allclose(plain(labels, logits), -scores[[0, 1], [0, 2]], rtol=1e-5)


def test_with_a_teacher_the_labels_are_smoothed_and_its_answers_are_not() -> None:
    logits, answers = np.array([[2.0, -1.0, 0.5]], np.float32), np.array([[1.0, 1.5, -2.0]], np.float32)
    shares = np.array([[0.25, 0.75, 0.0]], np.float32)
    target = losses.target(np.array([0]), shares, answers).numpy()
    assert target.tolist() == [[1.0, 0.25, 0.75, 0.0, 1.0, 1.5, -2.0]]  # the label is that of the larger share
    distill = Distill(temperature=2.0, weight=0.4)
    loss = losses.loss(Train(epochs=1, distill=distill, label_smoothing=0.3))(target, logits)

    def log_softmax(x: Any) -> Any:
        return np.log(np.exp(x) / np.exp(x).sum(axis=1, keepdims=True))

    hard = -((0.7 * shares + 0.1) * log_softmax(logits)).sum(axis=1)
    soft = -(np.exp(log_softmax(answers / 2)) * log_softmax(logits / 2)).sum(axis=1)
    np.testing.assert_allclose(loss, 0.6 * hard + 0.4 * 4 * soft, rtol=1e-5)


def test_a_layer_moves_by_its_share_of_the_learning_rate(context: Context) -> None:
    """In the first step, where all have the same gradients; weight decay counts by the same share."""
    one_step = replace(context, recipe=replace(RECIPE, augment=()))
    schedule = Train(epochs=1, batch_size=2 * len(context.data["train"]), learning_rate=0.01, weight_decay=0.1)
    moved = []
    for factor in (1.0, 0.5, 0.0):
        workspace = context.workspace / str(factor)
        workspace.mkdir()
        at = replace(one_step, workspace=workspace)
        before = models.build(RECIPE.architecture, at).get_layer("block1_pointwise").get_weights()[0]
        model, _ = trained(at, schedule, rates=lambda name, f=factor: f if name == "block1_pointwise" else 1.0)
        moved.append(model.get_layer("block1_pointwise").get_weights()[0] - before)
        assert model.get_layer("block1_pointwise").trainable
    assert np.abs(moved[0]).max() > 0.005
    np.testing.assert_allclose(moved[1], moved[0] / 2, atol=1e-7)
    assert not moved[2].any()


def test_a_batch_norm_whose_rate_is_0_keeps_its_statistics(context: Context) -> None:
    model, _ = trained(context, Train(epochs=1), rates=lambda name: 0.0 if name == "stem_bn" else 1.0)
    gamma, beta, mean, variance = model.get_layer("stem_bn").get_weights()
    assert [set(each.tolist()) for each in (gamma, beta, mean, variance)] == [{1.0}, {0.0}, {0.0}, {1.0}]
    assert model.get_layer("block1_depthwise_bn").get_weights()[2].any()


class Follow(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps the weights after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[list[Any]] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.seen.append(self.model.get_weights())


def test_averages_are_those_of_the_weights_after_each_step(context: Context) -> None:
    """Statistics of batch norms among them; and what validation measured are the averages, not the last weights."""
    start = models.build(RECIPE.architecture, context).get_weights()
    model, history = trained(context, Train(epochs=2, batch_size=16, averaging=0.9), callbacks=[follow := Follow()])
    averages = [each.astype(np.float64) for each in start]
    for step, weights in enumerate(follow.seen, 1):
        momentum = min(0.9, (1 + step) / (10 + step))
        averages = [momentum * a + (1 - momentum) * w for a, w in zip(averages, weights, strict=True)]
    for average, weight, last in zip(averages, model.get_weights(), follow.seen[-1], strict=True):
        np.testing.assert_allclose(weight, average, rtol=1e-4, atol=1e-5)
        assert not np.array_equal(weight, last)
    measured = model.evaluate(*all_of(context.data["validation"]), verbose=0)
    np.testing.assert_allclose(measured, [history[-1]["val_loss"], history[-1]["val_accuracy"]], rtol=1e-4)


def all_of(images: Images) -> tuple[Any, Any]:
    return SPEC.dequantize(images.pixels[:]), images.labels[:, np.newaxis].astype(np.float32)


def test_patience_keeps_the_best_epoch(context: Context, progress: Any) -> None:
    """With a learning rate that no network survives, the first epochs are the best there are."""
    schedule = Train(epochs=8, batch_size=16, learning_rate=0.9, patience=2)
    model, history = trained(context, schedule)
    assert len(history) < 8
    best = schedule.best(history)
    assert len(history) - 1 - best == 2
    assert progress.lines[-1].startswith(f"train: epoch {best + 1} is kept, 0.")
    assert history[best]["val_accuracy"] == max(each["val_accuracy"] for each in history)
    measured = model.evaluate(*all_of(context.data["validation"]), verbose=0)
    np.testing.assert_allclose(measured, [history[best]["val_loss"], history[best]["val_accuracy"]], rtol=1e-4)


def figures(*accuracies: float) -> list[dict[str, float]]:
    return [{"val_accuracy": accuracy, "val_loss": 1.0} for accuracy in accuracies]


@pytest.mark.parametrize(
    ("accuracies", "settled", "best", "ended"),
    [
        ((0.5,), 0, 0, False),
        ((0.5, 0.6, 0.6), 0, 1, False),  # of two that are alike the first
        ((0.5, 0.6, 0.6, 0.5), 0, 1, True),
        ((0.9, 0.6, 0.5), 1, 1, False),
        ((0.9, 0.6, 0.5, 0.5), 1, 1, True),
        ((0.9, 0.6, 0.5), 5, 2, False),
    ],
)
def test_when_patience_ends(accuracies: Sequence[float], settled: int, best: int, ended: bool) -> None:
    schedule = Train(epochs=9, patience=2)
    assert schedule.best(figures(*accuracies), settled) == best
    assert schedule.ended(figures(*accuracies), settled) is ended
    assert Train(epochs=9).best(figures(*accuracies)) == len(accuracies) - 1
    assert not Train(epochs=9).ended(figures(*accuracies))


def test_of_two_epochs_of_one_accuracy_the_one_of_less_loss_is_the_better() -> None:
    history = [{"val_accuracy": 0.5, "val_loss": loss} for loss in (2.0, 1.0, 1.5)]
    assert Train(epochs=9, patience=1).best(history) == 1


def test_mistakes_are_said() -> None:
    assert "label_smoothing and averaging" in Train(epochs=1, averaging=1.0).problems()[0]
    assert "label_smoothing and averaging" in Train(epochs=1, label_smoothing=-0.1).problems()[0]
    assert "patience" in Train(epochs=1, patience=-1).problems()[0]


def test_the_loss_of_an_image_counts_by_its_class(context: Context) -> None:
    only = np.array([9.0] + [0.0] * 8, np.float32)
    weighed = feed.batches(context.data["train"], context, (0, 0), 16, class_weights=only)
    for _, target, weights in weighed:
        np.testing.assert_array_equal(weights, only[target.numpy()[:, 0].astype(int)])
    assert len(next(iter(feed.batches(context.data["train"], context, (0, 0), 16)))) == 2


def test_averages_of_a_quantization_aware_network_keep_its_ranges_true(context: Context) -> None:
    """The input's are pinned to the bit, and those of each kernel are what its averages reach."""
    model = models.build(RECIPE.architecture, context)
    aware = fake_quantization.of(model, SPEC)
    fake_quantization.calibrate(aware, model, SPEC, context.data["calibration"].pixels)
    fitting.fit(aware, context, Train(epochs=1, batch_size=16, averaging=0.9, learning_rate=0.05))
    pinned = {each.name.split("/")[-1]: float(each) for each in aware.layers[1].variables if "output_m" in each.name}
    assert sorted(pinned.values()) == list(SPEC.range())
    kernel, _, variables = aware.get_layer("quant_block1_pointwise")._weight_vars[0]
    np.testing.assert_allclose(variables["max_var"].numpy(), np.abs(kernel.numpy()).max(axis=(0, 1, 2)))


def test_zeros_of_pruning_are_zeros_of_the_averages(context: Context) -> None:
    """And patience takes no epoch for the best in which they were not all there."""
    model = models.build(RECIPE.architecture, context)
    files = models.save_model(model, context.workspace)
    before = Artifact(kind="keras", files=files)
    (context.workspace / "sparse").mkdir()
    at = replace(context, history=(before,), workspace=context.workspace / "sparse")
    sparse = Sparsify(sparsity=0.75, epochs=4, batch_size=16, averaging=0.99, patience=1).run(before, at)
    assert sparse.metrics["sparsity"] == pytest.approx(0.75, abs=0.02)
    assert len(sparse.metrics["history"]) == 4


def test_the_time_left_is_said_once_it_is_known(context: Context, progress: Any) -> None:
    trained(context, Train(epochs=5, batch_size=16))
    notes = [note for _, _, note in progress.updates]
    assert len(notes) > 20
    assert not any("left" in note for note in notes[:10])
    assert all(re.fullmatch(r"epoch \d/5, 0\.\d+ on train, 0\.\d+ on validation, \d+ \w+ left", n) for n in notes[11:])
    assert "left" in progress.lines[-2]
    assert re.fullmatch(r"train: epoch 5/5, 0\.\d+ on train, 0\.\d+ on validation", progress.lines[-1])


def test_with_patience_the_time_left_is_the_most_it_can_be(context: Context, progress: Any) -> None:
    trained(context, Train(epochs=5, batch_size=16, patience=9))
    assert "at most" in progress.updates[-1][2]


def test_the_pace_is_that_of_the_steps_of_this_run() -> None:
    """What was done before a kill took no time of ours."""
    pace = training_log.Pace()
    pace.step(1_000_000)
    assert pace.seconds(10) is None
    pace.step(1_000_009)
    assert pace.seconds(10) is None
    pace.step(1_000_010)
    assert pace.seconds(0) == 0
    assert pace.seconds(10) is not None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(1, "5 s"), (42, "40 s"), (57, "1 min"), (250, "4 min"), (3599, "1 h 0 min"), (5000, "1 h 20 min")],
)
def test_a_duration_is_as_fine_as_it_is_known(seconds: float, said: str) -> None:
    assert training_log.duration(seconds) == said


def test_the_curves_are_whole_after_a_kill(context: Context, tmp_path: Path) -> None:
    watched = replace(context, tensorboard=tmp_path / "curves")
    with pytest.raises(Killed):
        trained(context, Train(epochs=3), callbacks=[KillAfter(1)])  # it was not watched from the beginning
    _, history = trained(watched, Train(epochs=3))
    (run,) = (tmp_path / "curves").iterdir()
    assert run.name.startswith("train-")
    found = {}
    for file in run.iterdir():
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                assert value.metadata.plugin_data.plugin_name == "scalars"
                found[event.step, value.tag] = float(tf.make_ndarray(value.tensor))
    expected = {(epoch, name): value for epoch, each in enumerate(history, 1) for name, value in each.items()}
    assert found == pytest.approx(expected)


def test_without_a_gpu_mixed_precision_is_said_and_not_done(context: Context, progress: Any) -> None:
    if mixed.available():
        pytest.skip("there is a GPU")
    plain, _ = trained(context, Train(epochs=1))
    elsewhere = replace(context, workspace=context.workspace / "mixed")
    elsewhere.workspace.mkdir()
    model, _ = trained(elsewhere, Train(epochs=1, mixed_precision=True))
    assert same(model.get_weights(), plain.get_weights())
    assert any("needs a GPU" in line and "float32" in line for line in progress.lines)


def test_in_mixed_precision_it_learns_goes_on_and_leaves_float32(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A processor computes in float16, too, if slowly: all but the speed can be tested without a GPU."""
    monkeypatch.setattr(mixed, "available", lambda: True)
    schedule = Train(epochs=3, batch_size=16, mixed_precision=True, averaging=0.9)
    model, history = trained(context, schedule)
    assert {str(each.dtype) for each in model.get_weights()} == {"float32"}
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    halved = mixed.halved(model)
    assert halved.get_layer("stem").compute_dtype == "float16"
    assert halved(context.recipe.input.dequantize(context.data["test"].pixels[:])).dtype == tf.float32
    model.compile(loss=losses.loss(schedule))
    measured = model.evaluate(*all_of(context.data["validation"]), verbose=0)
    assert measured == pytest.approx(history[-1]["val_loss"], rel=0.02)
    elsewhere = replace(context, workspace=context.workspace / "killed")
    elsewhere.workspace.mkdir()
    with pytest.raises(Killed):
        trained(elsewhere, schedule, callbacks=[KillAfter(1)])
    again, its_history = trained(elsewhere, schedule)
    assert its_history == history
    assert same(again.get_weights(), model.get_weights())


@pytest.mark.parametrize("stage", [Sparsify, Quantize])
def test_where_it_would_hurt_mixed_precision_is_a_mistake(stage: Any) -> None:
    settings = {"sparsity": 0.5} if stage is Sparsify else {}
    assert "float32" in stage(epochs=1, mixed_precision=True, **settings).problems()[0]
