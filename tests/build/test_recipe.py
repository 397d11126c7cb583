import json
from dataclasses import dataclass, replace
from typing import Any

import pytest

from edgecnn.build import (
    CompileFor,
    Convert,
    Flip,
    Gate,
    InputSpec,
    Quantize,
    Recipe,
    SeparableNet,
    Shapes,
    Sparsify,
    Train,
    Verify,
)
from edgecnn.errors import UsageError


def recipe(**changes: Any) -> Recipe:
    whole = Recipe(
        name="tiny",
        data=Shapes(images_per_class=40),
        input=InputSpec(height=32, width=32),
        architecture=SeparableNet(widths=(8, 16), strides=(2,)),
        augment=(Flip(),),
        stages=(Train(epochs=1), Sparsify(sparsity=0.5, epochs=1), Quantize(epochs=1), Convert(), Verify(runs=5)),
        gates=(Gate(name="agreement", limit=0.5),),
    )
    return replace(whole, **changes)


def mistakes(**changes: Any) -> str:
    with pytest.raises(UsageError) as caught:
        recipe(**changes).check()
    assert caught.value.exit_code == 2
    return caught.value.message


def test_a_recipe_without_mistakes_passes() -> None:
    recipe().check()
    recipe(stages=(Train(epochs=1), Convert(), Verify())).check()


def test_three_mistakes_are_all_reported() -> None:
    message = mistakes(
        input=InputSpec(height=0, width=32),
        stages=(Train(epochs=0), Convert(), Verify()),
        gates=(Gate(name="beauty", limit=1),),
    )
    assert "3 mistakes" in message
    assert "0x32" in message
    assert "Train takes at least 1 epoch" in message
    assert "'beauty'" in message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": ""}, "a name is"),
        ({"name": ".hidden"}, "a name is"),
        ({"name": "a/b"}, "a name is"),
        ({"name": "two\nlines"}, "a name is"),
        ({"name": "caf\udce9"}, "a name is"),
        ({"data": Shapes(images_per_class=0)}, "at least 1 image"),
        ({"architecture": SeparableNet(widths=(8,), strides=(2,))}, "one positive width more"),
        ({"gates": (Gate(name="drop", limit=-1),)}, "not negative"),
        ({"stages": ()}, "the last stage is Verify"),
        ({"stages": (Train(epochs=1), Convert())}, "the last stage is Verify"),
        ({"stages": (Convert(), Verify())}, "convert stands after a stage that makes keras or qat"),
        ({"stages": (Train(epochs=1), Train(epochs=1), Convert(), Verify())}, "train stands first"),
        ({"stages": (Train(epochs=1), Verify())}, "verify stands after"),
        ({"stages": (Train(epochs=1, learning_rate=2), Convert(), Verify())}, "learning_rate"),
        ({"stages": (Train(epochs=1), Sparsify(sparsity=1, epochs=1), Convert(), Verify())}, "sparsity between"),
        ({"stages": (Train(epochs=1), Convert(), Verify(runs=0))}, "at least 1 run"),
    ],
)
def test_a_mistake_is_said(changes: dict[str, Any], said: str) -> None:
    assert said in mistakes(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"input": InputSpec(height="96", width=96)},  # type: ignore[arg-type]
        {"architecture": SeparableNet},
        {"stages": (Train(epochs=None), Convert(), Verify())},  # type: ignore[arg-type]
        {"gates": (Gate(name="drop", limit="1 %"),)},  # type: ignore[arg-type]
        {"data": "photos"},
    ],
)
def test_a_value_of_another_type_is_a_mistake_of_the_recipe_and_no_bug(changes: dict[str, Any]) -> None:
    assert "1 mistake" in mistakes(**changes)


def test_the_settings_are_json_and_hold_no_path_and_no_gate() -> None:
    settings = json.loads(json.dumps(recipe().settings()))
    assert set(settings) == {"name", "input", "seed", "architecture", "augment", "stages"}
    assert [stage["type"] for stage in settings["stages"]] == ["Train", "Sparsify", "Quantize", "Convert", "Verify"]
    assert all(stage["revision"] >= 1 for stage in settings["stages"])
    assert settings["architecture"] == {"type": "SeparableNet", "widths": [8, 16], "strides": [2]}


@pytest.mark.parametrize(
    ("name", "value", "passed"),
    [
        ("accuracy", 0.5, True),
        ("accuracy", 0.499, False),
        ("agreement", 0.6, True),
        ("agreement", 0.4, False),
        ("drop", 0.5, True),
        ("drop", -0.1, True),
        ("drop", 0.501, False),
        ("size_bytes", 0.4, True),
        ("p50_ms", 0.6, False),
        ("p50_ms", None, False),
        ("accuracy", float("nan"), False),
        ("drop", float("nan"), False),
    ],
)
def test_a_gate_judges(name: str, value: float | None, passed: bool) -> None:
    assert Gate(name=name, limit=0.5).problems() == []
    judged = Gate(name=name, limit=0.5).judge(value, test_images=100)
    assert list(judged) == ["name", "limit", "value", "passed"]
    assert judged["passed"] is passed


def test_the_floor_of_a_drop_is_a_number_of_test_images() -> None:
    gate = Gate(name="drop", limit=0.01, images=2)
    assert gate.judge(0.04, test_images=50) == {"name": "drop", "limit": 0.04, "value": 0.04, "passed": True}
    assert gate.judge(0.041, test_images=50)["passed"] is False
    assert gate.judge(0.02, test_images=1000) == {"name": "drop", "limit": 0.01, "value": 0.02, "passed": False}


def test_two_images_are_two_images_whatever_their_number() -> None:
    """Accuracies are rounded to six places: that must not put a drop of two images over a floor of two."""
    gate = Gate(name="drop", limit=0.0, images=2)
    for n in range(3, 500):
        for right in (n, n - 1):
            drops = [round(round(right / n, 6) - round((right - wrong) / n, 6), 6) for wrong in (2, 3)]
            assert [gate.judge(drop, test_images=n)["passed"] for drop in drops] == [True, False], (n, right)


def test_artifacts_are_found_by_the_newest_that_has_the_file() -> None:
    from pathlib import Path

    from edgecnn.build.recipe import Artifact, Context

    @dataclass(frozen=True)
    class Nothing:
        pass

    history = tuple(
        Artifact(kind="keras", files=files) for files in ({"a": Path("1")}, {"a": Path("2")}, {"b": Path("3")})
    )
    context = Context(recipe=recipe(), data=Nothing(), history=history, workspace=Path(), progress=Nothing())  # type: ignore[arg-type]
    assert (context.latest("a"), context.latest("b"), context.latest("c")) == (Path("2"), Path("3"), None)


def test_targets_are_checked_and_decide_nothing_of_the_file() -> None:
    ethos = CompileFor(target="ethos-u55")
    gate = Gate(name="accelerated", limit=1)
    recipe(targets=(ethos,), gates=(gate,)).check()
    assert recipe(targets=(ethos,)).settings() == recipe().settings()
    assert "is compiled for once" in mistakes(targets=(ethos, ethos))
    assert "needs targets" in mistakes(gates=(gate,))
    assert "not 'litert'" in mistakes(targets=(CompileFor(target="litert"),))
    assert "cannot be checked" in mistakes(targets=("ethos-u55",))
