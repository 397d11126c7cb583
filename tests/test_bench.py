import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn import Bundle, targets
from edgecnn.bench import bench, interleaved, prepare
from edgecnn.errors import UsageError


def test_the_fields_and_the_counts(bundle_path: Path) -> None:
    rounds = []
    document = bench(
        Bundle.read(bundle_path), threads=(1, 2), runs=100, on_run=lambda done, total: rounds.append((done, total))
    )
    assert json.loads(json.dumps(document)) == document
    assert set(document) == {"runtime", "runs", "cold_start_ms", "rss_mb", "host"}
    assert [(run["threads"], run["n"]) for run in document["runs"]] == [(1, 100), (2, 100)]
    assert rounds == [(64, 100), (100, 100)]
    for run in document["runs"]:
        assert 0 < run["min_ms"] <= run["p50_ms"] <= run["p90_ms"] <= run["p99_ms"]
    assert document["cold_start_ms"] > 0


def test_a_foreign_file_is_benched(foreign_path: Path) -> None:
    assert bench(Bundle.read(foreign_path), threads=(1,), runs=1)["runs"][0]["n"] == 1


def converted(function: Any, *signature: Any) -> bytes:
    from edgecnn.build.converter import _convert
    from edgecnn.build.keras import tf

    specs = [tf.TensorSpec(shape, dtype) for shape, dtype in signature]
    concrete = tf.function(function, autograph=False, input_signature=specs).get_concrete_function()
    return _convert(tf.lite.TFLiteConverter.from_concrete_functions([concrete], tf.Module()))


def test_a_model_of_indices_is_benched_with_indices_that_exist(tmp_path: Path) -> None:
    from edgecnn.build.keras import tf

    table = np.arange(40, dtype=np.float32).reshape(10, 4)
    (tmp_path / "words.tflite").write_bytes(converted(lambda ids: tf.gather(table, ids), ((1, 5), tf.int32)))
    bundle = Bundle.read(tmp_path / "words.tflite")
    assert bundle.input is None
    assert bench(bundle, threads=(1,), runs=2)["runs"][0]["n"] == 2


def test_a_model_of_several_inputs_is_benched(tmp_path: Path) -> None:
    from edgecnn.build.keras import tf

    model = converted(lambda mask, x: tf.where(mask, x, -x), ((1, 4), tf.bool), ((1, 4), tf.float32))
    (tmp_path / "two.tflite").write_bytes(model)
    assert len(bench(Bundle.read(tmp_path / "two.tflite"), threads=(1,), runs=2)["runs"]) == 1


def test_sessions_are_timed_in_turn() -> None:
    calls = []

    class Session:
        def __init__(self, name: str) -> None:
            self.invoke = lambda: calls.append(name)

    stats = interleaved([Session("a"), Session("b")], runs=3)  # type: ignore[list-item]
    assert [each.n for each in stats] == [3, 3]
    assert calls[-6:] == ["a", "b", "a", "b", "a", "b"]


def test_inputs_are_filled_alike_every_time(bundle: Bundle) -> None:
    outputs = []
    for _ in range(2):
        session = prepare(targets.choose().load(bundle.model, threads=1))
        session.invoke()
        outputs.append(session.output())
    assert np.array_equal(*outputs)


def test_an_unknown_target_is_a_wrong_usage(bundle: Bundle) -> None:
    with pytest.raises(UsageError):
        bench(bundle, threads=(1,), runs=1, target="onnx")
