import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgecnn import Bundle
from edgecnn.build import Folder, recipes
from tests.test_cli import run

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize("recipe", ["photos", "transfer"])
def test_the_recipe_loads_and_is_that_of_its_project(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("new", "pets", "cat", "dog", "--recipe", recipe)
    assert result.exit_code == 0, result.stderr
    written = [Path(line) for line in result.stdout.splitlines()]
    assert all(path.is_file() for path in written)
    assert Path("pets/photos/cat/.gitkeep") in written
    loaded, original = (recipes.find(name, data=None, quick=False) for name in ("pets/pets.py", recipe))
    loaded.check()
    assert (loaded.name, loaded.data) == ("pets", Folder(path="photos"))
    assert loaded.stages == original.stages
    assert loaded.gates == original.gates
    assert "hands" not in Path("pets/pets.py").read_text()  # nothing is promised that was measured on other photos
    assert "edgecnn build pets.py" in Path("pets/README.md").read_text()
    assert "artifacts/" in Path("pets/.gitignore").read_text().splitlines()


@pytest.mark.slow  # of it CI checks that the recipe loads, and builds `photos --quick` with the documentation
def test_once_photos_are_there_it_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("new", tmp_path / "pets").exit_code == 0
    monkeypatch.chdir(tmp_path / "pets")
    names = ("first-class", "second-class")
    assert sorted(path.name for path in Path("photos").iterdir()) == list(names)
    random = np.random.default_rng(0)
    for label, name in enumerate(names):
        for number in range(50):
            photo = random.integers(0, 128, (40, 40, 3)) + 100 * label
            cv2.imwrite(f"photos/{name}/{number}.png", photo.astype(np.uint8))
    data = run("data", "photos", "--json")
    assert data.exit_code == 0, data.stderr
    command = [sys.executable, "-m", "edgecnn", "build", "pets.py", "--quick", "--quiet"]
    built = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert built.returncode == 0, built.stderr
    assert built.stderr == ""
    manifest = Bundle.read("artifacts/pets-quick/pets-quick.tflite").manifest or {}
    loud = run("build", "pets.py", "--quick", "--verbose")
    assert re.search(r"versions: edgecnn \d", loud.stderr)
    keys = dict(re.findall(r"(\S+): key ([0-9a-f]{32}) in ", loud.stderr))
    assert manifest["provenance"]["keys"].items() <= keys.items()


def test_what_is_there_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (mine := tmp_path / "pets" / "pets.py").parent.mkdir()
    mine.write_text("mine")
    refusal = run("new", "pets")
    assert refusal.exit_code == 2
    assert "nothing is overwritten" in refusal.stderr
    assert [path.name for path in mine.parent.iterdir()] == ["pets.py"]
    assert mine.read_text() == "mine"


@pytest.mark.parametrize(
    "names",
    [("1pets",), ("a b",), ("pets", "cat"), ("pets", "cat", "cat"), ("pets", "cat", "../dog"), ("pets", "a", ".b")],
)
def test_names_that_cannot_be_are_said(names: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refusal = run("new", *names)
    assert refusal.exit_code == 2
    assert "cannot be begun" in refusal.stderr
    assert not list(tmp_path.iterdir())
