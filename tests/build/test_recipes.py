import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgecnn.build import Folder, pipeline, recipes
from edgecnn.build.schedule import Schedule
from edgecnn.errors import EdgecnnError, UsageError
from tests.build.test_arrays import write_idx

PIPELINES = Path(__file__).parents[2] / "pipelines"
WHOLE = (PIPELINES / "shapes.py").read_text()


def load(path: Path, *, quick: bool = False) -> recipes.Recipe:
    return recipes.find(str(path), data=None, quick=quick)


def refused(tmp_path: Path, text: str) -> str:
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(UsageError, match=r"mine\.py cannot be read") as caught:
        load(tmp_path / "mine.py")
    return caught.value.message


def test_every_file_in_pipelines_is_a_recipe_by_name() -> None:
    assert recipes.names() == sorted(path.stem for path in PIPELINES.glob("*.py"))
    assert {"shapes", "photos"} <= set(recipes.names())


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_is_without_mistakes(name: str, quick: bool) -> None:
    recipe = recipes.find(name, data=None, quick=quick)
    recipe.check()
    assert recipe.name == (f"{name}-quick" if quick else name)


@pytest.mark.parametrize("name", recipes.names())
def test_the_docstring_of_every_recipe_states_its_command(name: str) -> None:
    text = (PIPELINES / f"{name}.py").read_text()
    assert text.startswith(f'"""{name}: ')
    commands = re.findall(r"^    (edgecnn build.*)$", text.split('"""')[1], re.MULTILINE)
    assert commands
    assert name in commands[0] or (name == "photos" and "--data" in commands[0])


@pytest.mark.parametrize("name", recipes.names())
def test_quick_is_the_same_way_and_shorter(name: str) -> None:
    full, quick = (recipes.find(name, data=None, quick=each) for each in (False, True))
    assert [type(stage) for stage in full.stages] == [type(stage) for stage in quick.stages]
    training = [[stage for stage in each.stages if isinstance(stage, Schedule)] for each in (full, quick)]
    assert all(short.epochs < long.epochs for long, short in zip(*training, strict=True))
    assert quick.input.height < full.input.height or training[0]


def test_without_a_name_it_is_shapes_or_with_data_photos(tmp_path: Path) -> None:
    assert recipes.find(None, data=None, quick=False).name == "shapes"
    recipe = recipes.find(None, data=tmp_path / "pets", quick=True)
    assert recipe.name == "pets-quick"
    assert recipe.data == Folder(path=str(tmp_path / "pets"))
    assert recipe.architecture == recipes.find("photos", data=None, quick=True).architecture


def test_data_takes_the_place_of_a_recipes_own(tmp_path: Path) -> None:
    recipe = recipes.find("shapes", data=tmp_path / "pets", quick=False)
    assert (recipe.name, recipe.data) == ("pets", Folder(path=str(tmp_path / "pets")))


def test_the_data_may_be_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pets").mkdir()
    monkeypatch.chdir(tmp_path / "pets")
    assert recipes.find(None, data=Path(), quick=False).name == "pets"


@pytest.mark.parametrize(("name", "size"), [("cifar10", 32), ("fashion-mnist", 28)])
def test_quick_goes_the_whole_way_on_the_users_own_data(tmp_path: Path, progress: Any, name: str, size: int) -> None:
    random = np.random.default_rng(0)
    labels = np.arange(2000) % 10
    images = (random.integers(0, 60, (2000, size, size)) + 19 * labels[:, np.newaxis, np.newaxis]).astype(np.uint8)
    data = tmp_path / "data"
    if name == "cifar10":
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            path = data / ("train" if number < 1800 else "test") / str(label) / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), image)
    else:
        write_idx(data, images[:1800], labels[:1800], images[1800:], labels[1800:])
    recipe = recipes.find(name, data=data, quick=True)
    report = pipeline.run(recipe, out=tmp_path / "out", progress=progress)
    way = {
        "cifar10": ({"ptq", "qat"}, ["train", "train", "prune-channels", "convert"]),
        "fashion-mnist": ({"ptq", "ptq-refined"}, ["train", "train", "convert"]),  # small from the start
    }[name]
    assert ({each["method"] for each in report["candidates"]}, [step["stage"] for step in report["steps"]]) == way
    assert report["steps"][-1]["size_bytes"] < report["steps"][0]["size_bytes"] / 2
    if name == "cifar10":
        assert report["steps"][2]["size_bytes"] < report["steps"][1]["size_bytes"]
    assert report["data"]["test"] == 200


def test_gates_for_photos_are_those_of_the_contract() -> None:
    gates = recipes.find("photos", data=None, quick=False).gates
    assert {(gate.name, gate.limit, gate.images) for gate in gates} == {("agreement", 0.95, 0), ("drop", 0.01, 2)}


def test_a_copy_that_a_user_edits_works_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    for name in ("mine-a", "mine-b"):  # within one second, and of one length
        path.write_text(WHOLE.replace('name="shapes"', f'name="{name}"'))
        recipe = load(path)
        recipe.check()
        assert recipe.name == name
    assert [each.name for each in tmp_path.iterdir() if each.suffix or each.name.startswith("__")] == ["mine.py"]


def test_a_recipe_may_define_a_part_of_its_own(tmp_path: Path) -> None:
    own = """
from dataclasses import dataclass

@dataclass(frozen=True, kw_only=True)
class Nothing:
    amount: "float" = 0.0
    def problems(self):
        return []
    def apply(self, images, seed):
        return images
"""
    head, body = WHOLE.split("def recipe", 1)
    text = f"from __future__ import annotations\n{head}{own}\ndef recipe{body}".replace(
        "augment=(", "augment=(Nothing(),"
    )
    (tmp_path / "mine.py").write_text(text)
    recipe = load(tmp_path / "mine.py")
    recipe.check()
    assert recipe.settings()["augment"][0] == {"type": "Nothing", "amount": 0.0}


def test_a_syntax_error_is_said(tmp_path: Path) -> None:
    assert "SyntaxError" in refused(tmp_path, "def recipe(:\n")


def test_a_file_without_the_function(tmp_path: Path) -> None:
    assert "recipe" in refused(tmp_path, "name = 'mine'\n")


def test_a_function_that_returns_something_else(tmp_path: Path) -> None:
    assert "recipe() returned dict, not a Recipe" in refused(tmp_path, "def recipe(*, quick=False):\n    return {}\n")


@pytest.mark.parametrize(
    "text",
    [
        "import no_such_library\n",
        "def recipe():\n    return None\n",
        WHOLE.replace("epochs=", "epoch="),
        WHOLE.replace("Quantize(", "Quantise("),
        "\0",
    ],
)
def test_whatever_else_is_wrong_is_about_the_recipe(tmp_path: Path, text: str) -> None:
    refused(tmp_path, text)


def test_a_file_that_is_no_python(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(UsageError, match=r"photo\.jpg cannot be read"):
        load(tmp_path / "photo.jpg")


@pytest.mark.parametrize("name", ["no-such-recipe", "pipelines", "../shapes"])
def test_a_recipe_that_is_not_there_is_answered_with_those_that_are(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        recipes.find(name, data=None, quick=False)
    assert all(known in str(caught.value.accepted) for known in recipes.names())


def test_an_error_that_a_recipe_raises_as_one_of_ours_goes_through(tmp_path: Path) -> None:
    text = (
        "from edgecnn.errors import DataError\ndef recipe(*, quick=False):\n    raise DataError('mine', remedy='x')\n"
    )
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(EdgecnnError, match="mine"):
        load(tmp_path / "mine.py")
