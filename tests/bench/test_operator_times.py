from pathlib import Path

import numpy as np

from edgecnn.bench.candidates import candidates
from edgecnn.bench.layers import Layers
from edgecnn.bench.operator_times import time_operators
from edgecnn.build.keras import tf
from edgecnn.operators import operators
from tests.test_operators import converted


def measured(path: Path, runs: int = 20) -> Layers:
    (candidate,) = candidates([path], names=None, threads=(1,))
    return time_operators(candidate, runs=runs)


def test_every_operator_is_timed_and_the_whole_beside_them(bundle_path: Path, int8_model: bytes) -> None:
    rounds: list[tuple[int, int]] = []
    (candidate,) = candidates([bundle_path], names=None, threads=(1,))
    found = time_operators(candidate, runs=25, on_run=lambda done, total: rounds.append((done, total)))
    assert [each.type for each in found.operators] == [each.type for each in operators(int8_model)]
    assert all(took is not None and took >= 0 for took in found.times_ms)
    assert rounds == [(13, 26), (26, 26)]
    assert (found.runs, list(found.limits.macs_per_s)) == (26, ["int8"])
    assert min(found.whole_ms, found.empty_ms, found.sum_ratio[0]) > 0


def test_a_float_network_is_held_against_the_rate_of_floats(foreign_path: Path) -> None:
    assert list(measured(foreign_path).limits.macs_per_s) == ["float32"]


def test_what_cannot_run_alone_is_named(tmp_path: Path) -> None:
    def loops(x: tf.Tensor) -> tf.Tensor:
        return tf.while_loop(lambda y: tf.reduce_sum(y) < 100.0, lambda y: (y * y + 1.0,), (tf.nn.relu(x),))[0]

    (tmp_path / "loop.tflite").write_bytes(converted(loops, (1, 4)))
    found = measured(tmp_path / "loop.tflite", runs=2)
    assert [each.type for each, took in zip(found.operators, found.times_ms, strict=True) if took is None] == ["WHILE"]
    assert "Not timed" in found.as_json()["advice"][-1]


def test_a_network_of_indices_is_timed(tmp_path: Path) -> None:
    table = np.arange(40, dtype=np.float32).reshape(10, 4)
    (tmp_path / "words.tflite").write_bytes(converted(lambda ids: tf.gather(table, ids), (1, 5), kind=tf.int32))
    assert None not in measured(tmp_path / "words.tflite", runs=2).times_ms
