"""A real build whose labels and name are markup, made once a session, and a browser to look at its page."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgecnn import shapes
from edgecnn.build import Convert, Folder, Gate, Recipe, SplitRule, Train, Verify, pipeline
from edgecnn.build.cache import Cache
from edgecnn.progress import Silent
from tests.build.tiny_recipe import recipe as tiny

MARKUP = ('"><svg onload=alert(1)>', "<b>bold", "a & b {{ 7*7 }}")
NAME = "n<i>me"


def photos(folder: Path) -> Path:
    """Fifty pictures of each of three shapes, which a network of seconds does not tell apart well."""
    for label, name in enumerate(MARKUP):
        (folder / name).mkdir(parents=True)
        for number in range(50):
            image = shapes.render(label, np.random.default_rng((label, number)), (32, 32))
            cv2.imwrite(str(folder / name / f"{number}.png"), image)
    return folder


def recipe_of(folder: Path, **changes: Any) -> Recipe:
    data = Folder(path=str(folder), rule=SplitRule(validation=0.15, calibration=0.1, test=0.3))
    stages = (Train(epochs=2), Convert(), Verify(runs=3))
    gates = (Gate(name="agreement", limit=0.5), Gate(name="size_bytes", limit=10))
    return replace(tiny(), **{"name": NAME, "data": data, "stages": stages, "gates": gates, **changes})


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a build that missed one of two gates; its cache is beside it."""
    folder = tmp_path_factory.mktemp("report")
    recipe = recipe_of(photos(folder / "photos"))
    pipeline.run(recipe, out=folder / "out", progress=Silent(), cache=Cache(folder / "cache"))
    return folder / "out"


@pytest.fixture
def facts(built: Path) -> dict[str, Any]:
    """Its report, for a test to change."""
    return dict(json.loads((built / "report.json").read_text()))
