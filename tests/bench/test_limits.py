from pathlib import Path

import numpy as np
import pytest

from edgecnn import targets
from edgecnn.bench.candidates import prepare
from edgecnn.bench.generated import MATRICES, MATRIX_MACS, empty_model, matrix_model
from edgecnn.bench.limits import Prober, last_cache
from edgecnn.operators import operators


@pytest.mark.parametrize("shape", MATRICES)
@pytest.mark.parametrize("kind", ["int8", "float32"])
def test_the_matrix_has_the_macs_that_its_rate_is_computed_with(kind: str, shape: tuple[int, int]) -> None:
    model = matrix_model(kind, *shape)
    (found,) = operators(model)
    assert (found.macs, found.compute_type) == (MATRIX_MACS, kind)
    session = prepare(targets.choose().load(model, threads=1))
    session.invoke()
    assert np.unique(session.output()).size > 10  # it multiplies, and does not only saturate


def test_the_empty_model_runs() -> None:
    session = prepare(targets.choose().load(empty_model(), threads=1))
    session.invoke()
    assert session.output().shape == (1, 1)


class Session:
    invokes = 0

    def invoke(self) -> None:
        self.invokes += 1


def test_every_limit_is_measured_at_every_visit() -> None:
    sessions = [Session(), Session()]
    prober = Prober({"int8": sessions}, threads=2, cache_bytes=1)  # type: ignore[dict-item]
    for _ in range(3):
        prober()
    limits = prober.limits()
    assert [each.invokes for each in sessions] == [18, 18]
    assert list(limits.macs_per_s) == ["int8"]
    assert min(limits.macs_per_s["int8"], limits.memory_bytes_per_s, limits.cache_bytes_per_s) > 0
    assert limits.cache_bytes == 1


def test_the_best_visit_counts() -> None:
    prober = Prober({"int8": []}, threads=1)
    prober.matrices = {"int8": [Session(), Session()]}  # type: ignore[list-item]
    prober._seconds = {"int8 0": [3.0, 2.0], "int8 1": [4.0, 5.0], "memory": [1.0, 0.5], "cache": [1.0]}
    limits = prober.limits()
    assert limits.macs_per_s["int8"] == MATRIX_MACS / 2
    assert limits.memory_bytes_per_s == 2 * prober._large[0].nbytes / 0.5


def test_the_copy_of_all_threads_is_whole() -> None:
    prober = Prober({}, threads=3, cache_bytes=1)
    prober._large[0][:] = 0
    prober._copy_large()
    assert (prober._large[0] == 2).all()


def test_the_last_cache_is_the_largest(tmp_path: Path) -> None:
    assert last_cache(tmp_path) is None
    for index, size in enumerate(("64K", "1M", "512K", "odd")):
        path = tmp_path / f"devices/system/cpu/cpu0/cache/index{index}/size"
        path.parent.mkdir(parents=True)
        path.write_text(size + "\n")
    assert last_cache(tmp_path) == 1 << 20
