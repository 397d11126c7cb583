import json
from dataclasses import replace
from typing import Any

import pytest

from edgecnn.bench.layers import Layers
from edgecnn.bench.limits import Limits
from edgecnn.operators import Operator, Tensor

LIMITS = Limits(macs_per_s={"int8": 1e9}, memory_bytes_per_s=1e6, cache_bytes_per_s=1e7, cache_bytes=10_000)


def tensor(shape: tuple[int, ...], *, name: str = "net/x/Conv2D", constant: bool = False) -> Tensor:
    return Tensor(name=name, shape=shape, type="int8", constant=constant)


def operator(index: int, kind: str, name: str, *, channels: int, macs: int = 0, weights: int = 0) -> Operator:
    given = [tensor((1, 10, channels)), *([tensor((weights,), name=f"{name} kernel", constant=True)] * bool(weights))]
    places = (index, *([100 + index] * bool(weights)))
    return Operator(
        index=index, type=kind, inputs=tuple(given), outputs=(tensor((1, 10, channels), name=f"net/{name}/{kind}"),),
        input_ids=places, output_ids=(index + 1,), macs=macs, known=kind != "CUMSUM",
    )  # fmt: skip


def layers(**changes: Any) -> Layers:
    """Two convolutions with an operator that nobody knows between them, and one that was not timed at the end."""
    found = (
        operator(0, "CONV_2D", "first", channels=64, macs=2_000_000, weights=4000),
        operator(1, "CUMSUM", "odd", channels=64),
        operator(2, "CONV_2D", "second", channels=64, macs=1_000_000, weights=4000),
        operator(3, "WHILE", "loop", channels=64),
    )
    times = (4.0, 1.0, 5.0, None)
    facts: dict[str, Any] = {
        "operators": found, "times_ms": times, "whole_ms": 10.0, "empty_ms": 0.1,
        "sum_ratio": (1.0, [0.99, 1.01]), "limits": LIMITS, "runs": 200,
    }  # fmt: skip
    return Layers(**{**facts, **changes})


def test_the_limit_is_the_longer_of_multiplying_and_moving() -> None:
    found = layers()
    first, odd = found.operators[:2]
    assert found.limit_ms(first) == pytest.approx(2.0)  # 2 million MACs; moving 5,280 bytes would take 0.5 ms
    assert found.limit_ms(odd) == pytest.approx(1280 / 1e7 * 1e3)


def test_weights_that_do_not_fit_into_the_caches_come_from_memory() -> None:
    second = operator(2, "CONV_2D", "second", channels=64, macs=1, weights=9000)
    found = layers(operators=(*layers().operators[:2], second, layers().operators[3]))
    assert found.limit_ms(second) == pytest.approx((9000 / 1e6 + 1280 / 1e7) * 1e3)
    large = operator(1, "ADD", "large", channels=900)  # 9,000 bytes are more than half of the cache
    assert found.limit_ms(large) == pytest.approx(18_000 / 1e6 * 1e3)


def test_the_document_has_every_operator() -> None:
    document = layers().as_json()
    assert json.loads(json.dumps(document)) == document
    first, odd, second, loop = document["operators"]
    assert first == {
        "index": 0, "type": "CONV_2D", "name": "first", "output": [1, 10, 64], "compute_type": "int8", "time_ms": 4.0,
        "share": 0.4, "macs": 2_000_000, "macs_known": True, "bytes": 5280, "limit_ms": 2.0, "limit_share": 0.5,
    }  # fmt: skip
    assert (odd["macs"], odd["macs_known"], odd["bytes"]) == (0, False, 1280)
    assert second["share"] == 0.5
    assert (loop["time_ms"], loop["share"], loop["limit_share"]) == (None, None, None)
    assert (document["sum_ms"], document["whole_ms"], document["macs"]) == (10.0, 10.0, 3_000_000)
    assert document["method"].startswith("estimate")
    assert set(document["limits"]) == {"macs_per_s", "memory_bytes_per_s", "cache_bytes_per_s", "cache_bytes"}


def test_the_advice_says_what_to_prune_what_is_far_and_what_is_not_known() -> None:
    document = layers().as_json()
    prune, far, unknown, missing = document["advice"]
    assert prune.startswith("Prune next the 64 channels of first: keeping 48 would save about 2.5 ms, 25%")
    assert document["prune_next"] == {
        "layers": ["first"], "operators": [0, 1, 2], "channels": 64, "kept": 48, "saves_ms": 2.5
    }  # fmt: skip
    assert far == (
        "CONV_2D second loses most to its limit: it takes 5 ms, and this computer could do it in 1 (20% of limit); "
        "the rest is 40% of the time."
    )
    assert "CUMSUM" in unknown
    assert "WHILE loop" in missing


def test_who_loses_most_to_its_limit_is_not_who_is_farthest_from_it() -> None:
    """As the table has it: what it takes less its limit; who takes little may be farther below its limit."""
    found = layers(times_ms=(6.0, 1.0, 3.0, None)).as_json()
    first, odd, second, _ = found["operators"]
    assert odd["limit_share"] < first["limit_share"] == second["limit_share"]
    losses = {row["name"]: row["time_ms"] - row["limit_ms"] for row in (first, odd, second)}
    assert max(losses, key=lambda name: losses[name]) == "first"
    assert "CONV_2D first loses most to its limit: it takes 6 ms" in found["advice"][1]
    assert "(33% of limit); the rest is 40% of the time" in found["advice"][1]


@pytest.mark.parametrize("changes", [{"times_ms": (2.0, 0.1, 1.0, None)}, {"empty_ms": 6.0}])
def test_nobody_loses_to_a_limit_that_all_reach_or_that_the_table_does_not_have(changes: dict[str, Any]) -> None:
    assert not any("loses" in sentence for sentence in layers(**changes).as_json()["advice"])


def test_of_many_layers_that_are_tied_a_few_are_named() -> None:
    convolutions = [operator(place, "CONV_2D", f"conv{place}", channels=64, macs=1) for place in range(8)]
    tied = replace(operator(8, "ADD", "sum", channels=64), inputs=(tensor((1, 64)),) * 8, input_ids=(*range(1, 9),))
    last = operator(9, "CONV_2D", "last", channels=64)
    few = layers(operators=(*convolutions, tied, last), times_ms=(1.0,) * 10)
    assert "of conv0 (and of conv1, conv2, conv3 and 4 more, which a sum ties to them)" in few.as_json()["advice"][0]


def test_a_time_that_is_shorter_than_what_was_subtracted_has_no_share_of_the_limit() -> None:
    assert layers(empty_ms=2.0).as_json()["operators"][1]["limit_share"] is None


@pytest.mark.parametrize(("ratio", "doubted"), [((1.0, None), 0), ((1.5, None), 1), ((1.0, [0.7, 1.6]), 1)])
def test_a_sum_that_is_far_from_the_whole_is_doubted(ratio: Any, doubted: int) -> None:
    assert len(layers(sum_ratio=ratio, warnings=("hot",)).as_json()["warnings"]) == 1 + doubted
    assert len(layers(whole_ms=12.0).as_json()["warnings"]) == 1


def test_nothing_to_prune_is_no_advice() -> None:
    few = layers(operators=layers().operators[1:2] * 4, times_ms=(0.0,) * 4)
    assert few.as_json()["prune_next"] is None
    assert not any("Prune" in sentence for sentence in few.as_json()["advice"])
