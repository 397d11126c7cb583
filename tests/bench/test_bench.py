import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn import Bundle, targets
from edgecnn.bench import bench, interleaved, prepare
from edgecnn.bench.candidates import candidates, start
from edgecnn.bench.timing import Timings
from edgecnn.errors import UsageError


def measured(*paths: Path, threads: tuple[int, ...] = (1,), **options: Any) -> dict[str, Any]:
    return bench(candidates(paths, names=None, threads=threads), **options).as_json()


@pytest.mark.lengthy
def test_the_fields_and_the_counts(bundle_path: Path) -> None:
    rounds = []
    document = measured(bundle_path, threads=(1, 2), runs=100, on_run=lambda done, total: rounds.append((done, total)))
    assert json.loads(json.dumps(document)) == document
    assert set(document) == {
        "runtime", "runs", "cold_start_ms", "rss_mb", "host", "conditions", "warnings"
    }  # fmt: skip
    assert [(run["threads"], run["n"]) for run in document["runs"]] == [(1, 100), (2, 100)]
    assert rounds == [(10 * load, 100) for load in range(1, 11)]
    for run in document["runs"]:
        assert 0 < run["min_ms"] <= run["p50_ms"] <= run["p90_ms"] <= run["p99_ms"]
        assert run["intervals"]["p50_ms"][0] <= run["p50_ms"] <= run["intervals"]["p50_ms"][1]
        assert run["paced"] is None
        assert run["loads"] == 10
        assert run["warm_up"]["discarded"] >= 10
    assert document["cold_start_ms"] > 0


def test_a_cold_start_is_the_sum_of_its_phases(bundle_path: Path) -> None:
    document = measured(bundle_path, runs=1)
    cold = document["runs"][0]["cold_start"]
    assert list(cold) == ["import_ms", "read_ms", "load_ms", "allocate_ms", "first_invoke_ms"]
    assert all(took > 0 for took in cold.values())
    assert document["cold_start_ms"] == pytest.approx(sum(cold.values()) - cold["read_ms"], abs=0.01)


@pytest.mark.tensorflow
def test_the_memory_is_what_the_model_made_resident(tmp_path: Path) -> None:
    """A network that has 64 MB between its input and its output; it takes as much when it is not the first."""
    from edgecnn.build.keras import tf

    model = converted(lambda x: tf.reduce_max(tf.tile(x, (1 << 22, 1)), axis=1), ((1, 4), tf.float32))
    (tmp_path / "large.tflite").write_bytes(model)
    for candidate in candidates([tmp_path / "large.tflite"] * 2, names=None, threads=(1,)):
        memory_mb = start(candidate).memory_mb
        assert memory_mb is not None
        assert 64 <= memory_mb < 200


@pytest.mark.lengthy
def test_two_loops_where_a_rate_is_given(bundle_path: Path) -> None:
    (run,) = measured(bundle_path, runs=50, rate=1000)["runs"]
    assert (run["paced"]["rate"], run["paced"]["n"], run["paced"]["ratio"]) == (1000, 50, 1.0)
    assert run["paced"]["p50_ms"] != run["p50_ms"]


@pytest.mark.native("compares times")
def test_a_file_against_itself(bundle_path: Path) -> None:
    first, again = measured(bundle_path, bundle_path, runs=200)["runs"]
    assert first["ratio"] == 1.0
    assert 0.5 < again["ratio"] < 2  # the code compares like with like; how near it is, benchmarks/ says
    assert again["ratio_interval"][0] <= again["ratio"] <= again["ratio_interval"][1]


@pytest.mark.tensorflow
def test_names_say_what_differs_and_no_more(bundle_path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / bundle_path.name
    other.parent.mkdir()
    other.write_bytes(bundle_path.read_bytes())
    assert [run["name"] for run in measured(bundle_path, threads=(1, 2), runs=1)["runs"]] == ["1 thread", "2 threads"]
    assert [run["name"] for run in measured(bundle_path, other, runs=1)["runs"]] == [
        f"{bundle_path}, 1 thread",
        f"{other}, 1 thread",
    ]
    chosen = candidates([bundle_path], names=["litert", "tensorflow"], threads=(1,))
    litert, tensorflow = (run["name"] for run in bench(chosen, runs=1).as_json()["runs"])
    assert litert.startswith("ai-edge-litert 2.")
    assert tensorflow.startswith("tensorflow")


@pytest.mark.lengthy
def test_what_the_timings_say_against_themselves(bundle_path: Path) -> None:
    made = bench(candidates([bundle_path], names=None, threads=(64,)), runs=40)
    samples = np.array([[[1_000_000 + 200_000 * load] * 4 for load in range(10)]])
    bad = Timings(samples_ns=samples, discarded=200, settled=False, late=30)
    warnings = " ".join(replace(made, tight=bad, paced=bad, rate=1e4).as_json()["warnings"])
    for words in ("of the tight loop never settled", "at a pace never settled", "64 threads", "pace was not kept"):
        assert words in warnings
    assert "known badly (64 threads)" in warnings


@pytest.mark.lengthy
def test_a_foreign_file_is_benched(foreign_path: Path) -> None:
    assert measured(foreign_path, runs=1)["runs"][0]["n"] == 1


def converted(function: Any, *signature: Any) -> bytes:
    from edgecnn.build.converter import _convert
    from edgecnn.build.keras import tf

    specs = [tf.TensorSpec(shape, dtype) for shape, dtype in signature]
    concrete = tf.function(function, autograph=False, input_signature=specs).get_concrete_function()
    return _convert(tf.lite.TFLiteConverter.from_concrete_functions([concrete], tf.Module()))


@pytest.mark.tensorflow
def test_a_model_of_indices_is_benched_with_indices_that_exist(tmp_path: Path) -> None:
    from edgecnn.build.keras import tf

    table = np.arange(40, dtype=np.float32).reshape(10, 4)
    (tmp_path / "words.tflite").write_bytes(converted(lambda ids: tf.gather(table, ids), ((1, 5), tf.int32)))
    assert Bundle.read(tmp_path / "words.tflite").input is None
    assert measured(tmp_path / "words.tflite", runs=2)["runs"][0]["n"] == 2


@pytest.mark.tensorflow
def test_a_model_of_several_inputs_is_benched(tmp_path: Path) -> None:
    from edgecnn.build.keras import tf

    model = converted(lambda mask, x: tf.where(mask, x, -x), ((1, 4), tf.bool), ((1, 4), tf.float32))
    (tmp_path / "two.tflite").write_bytes(model)
    assert len(measured(tmp_path / "two.tflite", runs=2)["runs"]) == 1


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


def test_an_unknown_target_is_a_wrong_usage(bundle_path: Path) -> None:
    with pytest.raises(UsageError):
        candidates([bundle_path], names=["litert", "onnx"], threads=(1,))
