"""The documentation builds offline without a warning, and what it says to type is what edgecnn takes."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from edgecnn import Bundle, shapes
from edgecnn.cli import main

pytestmark = pytest.mark.tensorflow
ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(r"^( *)```(\{\.sh \.run\}|\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, *kinds: str) -> Iterator[str]:
    """The text of the fenced blocks of some kinds; README has commands in blocks of none."""
    for _, kind, text in _FENCE.findall(page.read_text()):
        if kind in kinds:
            yield text


def commands(text: str) -> Iterator[list[str]]:
    """What is typed after ``edgecnn`` in a block; a remark stands two spaces behind, and a synopsis has brackets."""
    for line in text.splitlines():
        typed = re.split(r"   +|\s\|\s| && ", line.strip())[0]
        if re.match(r"(\S*/)?edgecnn ", typed) and not re.search(r"\[|[A-Z]{3,}\b.*\bOPTIONS", typed):
            yield shlex.split(typed)[1:]


def test_every_command_of_the_documentation_can_be_typed() -> None:
    seen = set()
    for page in PAGES:
        for text in blocks(page, "", "sh", "{.sh .run}"):
            for words in commands(text):
                name, *arguments = words
                main.commands[name].make_context(name, list(arguments)).close()  # one may have said --quiet
                seen.add(name)
    assert {"build", "data", "demo", "bench", "evaluate", "show", "service", "report", "deploy", "device"} <= seen


def test_what_needs_no_hardware_does_what_the_documentation_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("edgecnn.build.choice.installed", lambda _: False)  # a small network, for the time it takes
    _photos(tmp_path / "photos")
    ran = [words for page in PAGES for text in blocks(page, "{.sh .run}") for words in commands(text)]
    ran.sort(key=lambda words: ["data", "build", "demo", "bench", "evaluate", "show"].index(words[0]))
    for words in ran:
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 0, (words, result.output)
    assert Bundle.read(Path("artifacts/photos-quick/photos-quick.tflite")).labels == ("bottle", "mug", "nothing")


def _photos(root: Path) -> None:
    """Fifty pictures in each of the classes of the tutorial."""
    for label, name in enumerate(("bottle", "mug", "nothing")):
        (root / name).mkdir(parents=True)
        for number in range(50):
            image = shapes.render(label, np.random.default_rng((label, number)), (96, 96))
            cv2.imwrite(str(root / name / f"{number}.png"), image)


def test_the_examples_of_the_python_api_run(
    tmp_path: Path, bundle_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    _photos(tmp_path / "photos")
    shutil.copy(bundle_path, "photos.tflite")
    shutil.copy(tmp_path / "photos" / "mug" / "1.png", "mug.jpg")
    classify, build = blocks(ROOT / "docs" / "reference" / "python.md", "python")
    exec(classify, {})
    label, score = capsys.readouterr().out.split()
    assert label in Bundle.read(bundle_path).labels
    assert 0 <= float(score) <= 1
    assert "epochs=30" in build
    exec(build.replace("epochs=30", "epochs=1"), {})
    accuracy, path = capsys.readouterr().out.split()
    assert 0 <= float(accuracy) <= 1
    assert Path(path).is_file()


def test_the_recipe_of_the_documentation_is_one(tmp_path: Path) -> None:
    from edgecnn.build import recipes

    (text,) = blocks(ROOT / "docs" / "how-to" / "recipe.md", "python")
    (tmp_path / "mine.py").write_text(text)
    recipes.find(str(tmp_path / "mine.py"), data=None, quick=True).check()


def test_the_site_builds_without_a_network_or_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    offline = ["unshare", "--map-root-user", "--net", *command]
    done = subprocess.run(
        offline, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for page in PAGES[1:]:
        name = page.relative_to(ROOT / "docs").with_suffix("")
        assert (tmp_path / "site" / ("" if name.name == "index" else name) / "index.html").is_file()
    loaded = re.compile(r"""(?:src|href)=["']?(https?:)?//[^"' >]+\.(?:js|css|woff2?)""")
    assert not [page for page in (tmp_path / "site").rglob("*.html") if loaded.search(page.read_text())]
