from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.build import models
from edgecnn.build.cache import Cache
from edgecnn.build.grad_cam import GradCam
from edgecnn.build.recipe import Artifact
from edgecnn.errors import UsageError
from tests import squares
from tests.conftest import Quiet

AT = (18, 8)


def kept(cache: Cache, model: Any, key: str = "a" * 32) -> dict[str, Any]:
    """Put a network into the cache, as a stage does, with a file that was converted from it."""
    files = models.save_model(model, cache.workspace(key))
    made = cache.keep(Artifact(kind="keras", files=files, key=key))
    (cache.workspace("b" * 32) / "int8.tflite").write_bytes(b"")
    file = {"int8.tflite": cache.workspace("b" * 32) / "int8.tflite"}
    cache.keep(Artifact(kind="tflite", files=file, key="b" * 32, parent=made.key))
    return {"provenance": {"keys": {"train": key, "convert": "b" * 32}}}


def test_it_looks_where_the_square_is_and_a_random_network_does_not(
    square_model: Any, tmp_path: Path, progress: Quiet
) -> None:
    image, maps = squares.scene(930, at=AT), []
    for name, model in (("trained", square_model), ("random", squares.untrained(seed=78))):
        cache = Cache(tmp_path / name)
        bundle = squares.bundle_of(model, **kept(cache, model))
        maps.append(GradCam(bundle, cache)(image, squares.LABELS.index("square")))
    learned, random = maps
    assert learned.shape == (16, 16)
    assert learned.min() == 0
    top, left = np.unravel_index(learned.argmax(), learned.shape)
    assert AT[0] - 2 <= 2 * top <= AT[0] + squares.SIDE + 2
    assert AT[1] - 2 <= 2 * left <= AT[1] + squares.SIDE + 2
    assert abs(np.corrcoef(learned.ravel(), random.ravel())[0, 1]) < 0.7 or random.max() == 0


def test_a_network_that_is_not_here_is_said(square_model: Any, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    bundle = squares.bundle_of(square_model, **kept(cache, square_model))
    for path in (cache.root / ("a" * 32)).iterdir():
        path.unlink()
    with pytest.raises(UsageError, match="not in the cache") as raised:
        GradCam(bundle, cache)
    assert "--method occlusion" in raised.value.remedy
