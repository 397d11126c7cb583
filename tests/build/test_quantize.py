"""Ranges from calibration, what each layer costs, sparsity that survives, and which file ships."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn import InputSpec
from edgecnn.build import (
    Convert,
    Gate,
    Quantize,
    SeparableNet,
    Sparsify,
    Train,
    Verify,
    converter,
    fake_quantization,
    models,
    pipeline,
)
from edgecnn.build.cache import Cache
from edgecnn.build.convert import INT8_FILE
from edgecnn.build.flatbuffer import inspect
from edgecnn.build.keras import keras
from edgecnn.build.promises import check_promises
from edgecnn.build.quantize import QAT_WEIGHTS
from edgecnn.build.recipe import Artifact, Context, Recipe, Stage
from edgecnn.build.sensitivity import sensitivity
from edgecnn.build.sparsify import ZEROS
from tests.build.test_channels import randomized
from tests.build.tiny_recipe import recipe as tiny

SPEC = InputSpec(height=32, width=32)
PIXELS = np.random.default_rng(2).integers(0, 256, (24, 32, 32, 3), np.uint8)


@pytest.fixture
def model() -> Any:
    keras.backend.clear_session()
    return randomized(SeparableNet(widths=(8, 16, 16), strides=(2, 1)).build(SPEC, 9))


def run(stages: tuple[Stage, ...], tmp_path: Path, progress: Any, **changes: Any) -> list[Artifact]:
    """A build of the tiny recipe with these stages; its artifacts in order."""
    recipe: Recipe = replace(tiny(), stages=stages, **changes)
    report = pipeline.run(recipe, out=tmp_path / "out", progress=progress, cache=Cache(tmp_path / "cache"))
    found = [Cache(tmp_path / "cache").find(stage["key"]) for stage in report["stages"]]
    return [artifact for artifact in found if artifact]


def test_ranges_begin_where_calibration_finds_them(model: Any) -> None:
    aware = fake_quantization.of(model, SPEC)
    fake_quantization.calibrate(aware, model, SPEC, PIXELS)
    outputs = model.get_layer("block1_pointwise_relu").output
    truth = keras.Model(model.inputs, outputs)(SPEC.dequantize(PIXELS)).numpy()
    values = {v.name: v.numpy() for v in aware.get_layer("quant_block1_pointwise_relu").variables}
    high = next(value for name, value in values.items() if "max" in name)
    assert high == pytest.approx(truth.max(), rel=1e-6)
    kernel = aware.get_layer("quant_block1_pointwise")
    top = next(v.numpy() for v in kernel.variables if "kernel_max" in v.name)
    np.testing.assert_allclose(top, np.abs(model.get_layer("block1_pointwise").kernel.numpy()).max(axis=(0, 1, 2)))


def test_calibrated_and_untrained_it_answers_as_post_training_quantization_does(model: Any) -> None:
    """Against the float network both are off by the rounding of 8 bits; tfmot's own start of [-6, 6] is far off."""
    float_logits = model(SPEC.dequantize(PIXELS)).numpy()
    aware = fake_quantization.of(model, SPEC)
    raw = np.abs(aware(SPEC.dequantize(PIXELS)).numpy() - float_logits).mean()
    fake_quantization.calibrate(aware, model, SPEC, PIXELS)
    calibrated = np.abs(aware(SPEC.dequantize(PIXELS)).numpy() - float_logits).mean()
    assert calibrated < 0.05 * np.ptp(float_logits)
    assert calibrated < raw / 3


def test_the_costliest_layer_is_the_one_with_an_outlier(model: Any, progress: Any) -> None:
    """One weight of a hundred times the others' size leaves them no steps of the 127."""
    plain = {each.layer: each for each in sensitivity(model, SPEC, PIXELS, progress)}
    assert set(plain) == {"stem", "logits"} | {f"block{n}_{k}" for n in (1, 2) for k in ("depthwise", "pointwise")}
    assert plain["stem"].members == ("stem", "stem_bn", "stem_relu")
    kernel = model.get_layer("block2_pointwise").get_weights()[0]
    kernel[0, 0, 0, :] *= 300
    kernel[0, 0, 0, ::2] *= -1
    model.get_layer("block2_pointwise").set_weights([kernel])
    before = model(SPEC.dequantize(PIXELS)).numpy()
    costs = sensitivity(model, SPEC, PIXELS, progress)
    assert costs[0].layer == "block2_pointwise"
    assert costs[0].kl > 2 * plain["block2_pointwise"].kl
    assert [each.kl for each in costs] == sorted((each.kl for each in costs), reverse=True)
    assert np.array_equal(model(SPEC.dequantize(PIXELS)), before)
    assert progress.updates[-1][:2] == (6, 6)


def test_a_layer_that_is_kept_in_float_is_the_only_one(model: Any) -> None:
    kept = ("block1_pointwise", "block1_pointwise_bn", "block1_pointwise_relu")
    aware = fake_quantization.of(model, SPEC, float_layers=frozenset(kept))
    fake_quantization.calibrate(aware, model, SPEC, PIXELS)
    facts = inspect(converter.qat_file(aware))
    check_promises(facts, spec=SPEC, zeros={}, float_tensors=(), float_operators=1)
    assert [kernel.dtype for kernel in facts.kernels].count(np.dtype(np.float32)) == 1
    with pytest.raises(Exception, match="1 operators are in float, not 2"):
        check_promises(facts, spec=SPEC, zeros={}, float_tensors=(), float_operators=2)
    with pytest.raises(Exception, match="is float32"):
        check_promises(facts, spec=SPEC, zeros={}, float_tensors=())


@pytest.mark.parametrize(("wanted", "tried"), [(0.0, 1), (2.0, 3)])
def test_layers_stay_in_float_only_where_the_drop_is_missed_and_within_the_budget(
    tmp_path: Path, progress: Any, monkeypatch: pytest.MonkeyPatch, wanted: float, tried: int
) -> None:
    """What is always reached costs nothing; for what never is, the whole budget is spent, the costliest layer first."""
    monkeypatch.setattr("edgecnn.build.convert._wanted_accuracy", lambda context: wanted)
    stages = (Train(epochs=1), Convert(float_layers=2), Verify(runs=3))
    *_, converted, verified = run(stages, tmp_path, progress, gates=())
    candidates, costs = converted.metrics["candidates"], converted.metrics["sensitivity"]
    assert [each["method"] for each in candidates] == ["ptq", "mixed", "mixed"][:tried]
    for number, candidate in enumerate(candidates):
        assert candidate["float_layers"] == [name for cost in costs[:number] for name in cost["members"]]
        assert candidate["float_operators"] == number
    assert verified.metrics["int8"]["method"] == converted.metrics["method"]


def test_what_may_be_lost_is_part_of_the_key_where_it_decides() -> None:
    strict, loose = (replace(tiny(), gates=(Gate(name="drop", limit=limit),)) for limit in (0.001, 0.1))
    assert Convert().beyond(strict) == Convert().beyond(loose)
    assert Convert(float_layers=1).beyond(strict) != Convert(float_layers=1).beyond(loose)


def test_the_better_file_ships(tmp_path: Path, progress: Any) -> None:
    """Which it is, validation decides, through the file."""
    *_, quantized, converted, _ = run(
        (Train(epochs=3), Quantize(epochs=1), Convert(), Verify(runs=3)), tmp_path, progress, gates=()
    )
    accuracy = {each["method"]: each["val_accuracy"] for each in converted.metrics["candidates"]}
    assert converted.metrics["val_accuracy"] == max(accuracy.values())
    assert converted.metrics["method"] == max(accuracy, key=lambda name: accuracy[name])
    assert set(accuracy) == {"ptq", "qat"}
    assert quantized.files[QAT_WEIGHTS].exists()
    assert any("ships" in line for line in progress.lines)


@pytest.mark.parametrize(("pattern", "sparsity"), [("magnitude", 0.75), ("2:4", 0.5)])
def test_masks_are_enforced_through_quantization_aware_training(
    tmp_path: Path, progress: Any, pattern: Any, sparsity: float
) -> None:
    """With a learning rate that would move every weight: what pruning made zero is zero in the QAT file's kernels."""
    sparse = Sparsify(sparsity=sparsity, pattern=pattern, epochs=2)
    trained, pruned, quantized, converted, verified = run(
        (Train(epochs=1), sparse, Quantize(epochs=2, learning_rate=0.05), Convert(), Verify(runs=3)),
        tmp_path,
        progress,
        gates=(),
    )
    history = (trained, pruned, quantized)
    data = tiny().data.open(tiny().input)
    data.load(progress)
    surrounding = Context(recipe=tiny(), data=data, history=history, workspace=tmp_path, progress=progress)
    aware = fake_quantization.of(models.load_model(surrounding), SPEC)
    models.load_weights(aware, quantized.files[QAT_WEIGHTS])
    with np.load(pruned.files[ZEROS]) as zeros:
        masks = dict(zeros)
    check_promises(inspect(converter.qat_file(aware)), spec=SPEC, zeros=masks, float_tensors=())
    if pattern == "2:4":
        for mask in masks.values():
            channels = mask.shape[-2] // 4 * 4
            fours = np.moveaxis(mask, -2, -1)[..., :channels].reshape(-1, 4)
            assert (fours.sum(axis=1) >= 2).all()
    stem = 3 * 3 * 3 * 8 / (744 if pattern == "2:4" else np.inf)  # of three channels one is zero, not two of four
    assert pruned.metrics["sparsity"] == pytest.approx(sparsity - stem / 6, abs=0.02)
    assert inspect(converted.files[INT8_FILE].read_bytes()).kernels
    assert verified.metrics["int8"]["sparsity"] >= pruned.metrics["sparsity"]


def test_batch_norms_stand_still_at_the_end(tmp_path: Path, progress: Any) -> None:
    """All frozen: what QAT leaves is what pruning had; none frozen: it moved."""
    moved = []
    for frozen in (1.0, 0.0):
        trained, quantized, *_ = run(
            (Train(epochs=1), Quantize(epochs=1, frozen=frozen), Convert(), Verify(runs=3)),
            tmp_path,
            progress,
            gates=(),
        )
        data = tiny().data.open(tiny().input)
        data.load(progress)
        surrounding = Context(recipe=tiny(), data=data, history=(trained,), workspace=tmp_path, progress=progress)
        model = models.load_model(surrounding)
        before = model.get_layer("stem_bn").moving_mean.numpy()
        aware = fake_quantization.of(model, SPEC)
        models.load_weights(aware, quantized.files[QAT_WEIGHTS])
        moved.append(not np.array_equal(aware.get_layer("quant_stem_bn").layer.moving_mean.numpy(), before))
    assert moved == [False, True]


def test_mistakes_are_said() -> None:
    assert "frozen from 0 to 1" in Quantize(epochs=1, frozen=1.5).problems()[0]
    assert "sparsity between 0 and 1" in Sparsify(epochs=1, sparsity=1.0).problems()[0]
    assert "2:4 has a sparsity of 0.5" in Sparsify(epochs=1, sparsity=0.7, pattern="2:4").problems()[0]
    assert "magnitude or 2:4" in Sparsify(epochs=1, sparsity=0.7, pattern="1:2").problems()[0]  # type: ignore[arg-type]
    assert "float_layers" in Convert(float_layers=-1).problems()[0]
