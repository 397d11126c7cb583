import json
import math
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgecnn import targets
from edgecnn.bench.candidates import prepare, random_values
from edgecnn.bench.generated import alone
from edgecnn.build.keras import tf
from edgecnn.bundle import packed
from edgecnn.operators import Operator, Tensor, operators
from tests.bench import test_bench
from tests.targets.one_operator import T, model


def converted(function: Any, *shapes: tuple[int, ...], kind: Any = tf.float32) -> bytes:
    return test_bench.converted(function, *((shape, kind) for shape in shapes))


def by_type(model: bytes) -> dict[str, Operator]:
    return {each.type: each for each in operators(model)}


def random(*shape: int) -> Any:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def small(x: Any) -> Any:
    """(1, 8, 8, 2) to (1, 5)."""
    x = tf.nn.relu(tf.nn.conv2d(x, random(3, 3, 2, 4), 2, "SAME") + random(4))
    x = tf.nn.depthwise_conv2d(x, random(3, 3, 4, 1), (1, 1, 1, 1), "SAME") + random(4)
    x = tf.nn.max_pool2d(x, 2, 2, "VALID")
    return tf.nn.softmax(tf.reshape(x, (1, 16)) @ random(16, 5) + random(5))


def test_macs_and_bytes_are_those_computed_by_hand() -> None:
    found = by_type(converted(small, (1, 8, 8, 2)))
    conv, depthwise, dense = (found[name] for name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"))
    assert conv.macs == 4 * 4 * 4 * (3 * 3 * 2)
    assert conv.bytes == 4 * (8 * 8 * 2 + 3 * 3 * 2 * 4 + 4 + 4 * 4 * 4)
    assert depthwise.macs == 4 * 4 * 4 * (3 * 3)
    assert depthwise.bytes == 4 * (4 * 4 * 4 + 3 * 3 * 4 + 4 + 4 * 4 * 4)
    assert dense.macs == 16 * 5
    assert dense.bytes == 4 * (16 + 16 * 5 + 5 + 5)
    assert (found["MAX_POOL_2D"].macs, found["MAX_POOL_2D"].bytes) == (0, 4 * (4 * 4 * 4 + 2 * 2 * 4))
    assert (found["SOFTMAX"].macs, found["SOFTMAX"].bytes) == (0, 4 * (5 + 5))
    assert all(each.known and each.compute_type == "float32" for each in found.values())


def test_products_and_transposed_convolutions_are_counted() -> None:
    product = by_type(converted(tf.matmul, (2, 3, 4), (2, 4, 5)))["BATCH_MATMUL"]
    assert product.macs == 2 * 3 * 5 * 4
    kernel = random(2, 2, 3, 6)  # height, width, out, in
    upwards = converted(lambda x: tf.nn.conv2d_transpose(x, kernel, (1, 8, 8, 3), 2), (1, 4, 4, 6))
    assert by_type(upwards)["TRANSPOSE_CONV"].macs == 4 * 4 * 6 * (2 * 2 * 3) == 8 * 8 * 3 * 6  # each place of out once
    wide = random(3, 3, 3, 6)
    same_size = converted(lambda x: tf.nn.conv2d_transpose(x, wide, (1, 4, 4, 3), 1), (1, 4, 4, 6))
    assert by_type(same_size)["TRANSPOSE_CONV"].macs == 4 * 4 * 3 * (3 * 3 * 6)  # as a convolution


def test_int8_moves_a_byte_a_number(int8_model: bytes) -> None:
    first = next(each for each in operators(int8_model) if each.type == "CONV_2D")
    kernel = first.inputs[1].shape
    assert first.compute_type == "int8"
    assert first.bytes == 96 * 96 * 3 + math.prod(kernel) + 4 * kernel[0] + math.prod(first.outputs[0].shape)
    assert first.macs == math.prod(first.outputs[0].shape) * math.prod(kernel[1:])


def test_an_operator_that_nobody_knows_counts_its_bytes_and_says_so() -> None:
    (found,) = operators(converted(lambda x: tf.cumsum(x, axis=1), (1, 6)))
    assert (found.type, found.macs, found.known) == ("CUMSUM", 0, False)
    assert found.bytes == 4 * (6 + 1 + 6)  # and its axis


def test_a_name_is_that_of_the_layer() -> None:
    def named(name: str, kind: str = "ADD", given: str = "") -> str:
        before, after = (Tensor(name=each, shape=(1, 2), type="int8", constant=False) for each in (given, name))
        return Operator(
            index=0, type=kind, inputs=(before,), outputs=(after,), input_ids=(0,), output_ids=(1,), macs=0, known=True
        ).name

    assert named("net/add_relu/Relu;net/add/add;net/stem/Conv2D1") == "stem"
    assert named("tfl.quantize") == "tfl.quantize"
    assert named("StatefulPartitionedCall:01") == named("") == ""
    assert named("StatefulPartitionedCall:01", "QUANTIZE", "net/scores/Softmax") == "scores"  # that which it casts


def test_what_is_left_out_keeps_its_place() -> None:
    file = model("FULLY_CONNECTED", [T((1, 16)), T((4, 16), values=1), T((4,), "int32", values=1)], [T((1, 4))])
    tree = schema.ModelT.InitFromPackedBuf(file)
    tree.subgraphs[0].operators[0].inputs = np.array([0, 1, -1], np.int32)
    (found,) = operators(packed(tree, 4096))
    assert [each and each.shape for each in found.inputs] == [(1, 16), (4, 16), None]
    assert (found.input_ids, [place for place, _ in found.given]) == ((0, 1, -1), [0, 1])
    assert (found.bytes, found.macs) == (16 + 4 * 16 + 4, 4 * 16)


def test_what_control_flow_runs_is_read_where_it_is_asked_for() -> None:
    def loops(x: Any) -> Any:
        return tf.while_loop(lambda y: tf.reduce_sum(y) < 100.0, lambda y: (y * y,), (tf.nn.relu(x),))[0]

    file = converted(loops, (1, 4))
    assert "LESS" not in by_type(file)
    assert {"WHILE", "LESS", "MUL"} <= {each.type for each in operators(file, all_graphs=True)}


def test_what_a_tensor_is_filled_with_and_quantized_by() -> None:
    given = [T((1, 8), signature=(-1, 8)), T((1,), "int32", values=3)]
    (found,) = operators(model("MEAN", given, [T((-1, 8), "float32")]))
    image, axes = (each for _, each in found.given)
    (mean,) = found.outputs
    assert (image.dynamic, axes.dynamic, mean.dynamic, mean.shape) == (True, False, True, (1, 8))
    assert (image.data, axes.data) == (None, np.int32(3).tobytes())
    assert ([round(each, 6) for each in image.scales], image.zero_points, mean.scales) == ([0.1], (0,), ())


def test_odd_tensors_have_a_size() -> None:
    assert Tensor(name="", shape=(3, 3), type="int4", constant=True).bytes == 5
    assert Tensor(name="", shape=(), type="float32", constant=False).bytes == 4
    assert Tensor(name="", shape=(9,), type="string", constant=False).bytes == 0


@pytest.mark.parametrize("fixture", ["int8_model", "foreign_model"])
def test_operators_that_are_cut_out_compute_what_the_network_does(fixture: str, request: Any) -> None:
    """One after the other, each fed with what the ones before made, they give its answer to the bit."""
    model = request.getfixturevalue(fixture)
    target = targets.choose()
    whole = prepare(target.load(model, threads=1))
    whole.invoke()
    found = operators(model)
    made = {found[0].input_ids[0]: random_values(whole.inputs[0])}
    for each, cut in zip(found, alone(model, range(len(found))), strict=True):
        session = target.load(cut, threads=1)
        given = sorted({i for i, tensor in each.given if not tensor.constant})
        for place, index in enumerate(given):
            session.set_input(made[index], place)
        session.invoke()
        made |= {index: session.output(place) for place, index in enumerate(each.output_ids)}
    assert np.array_equal(made[found[-1].output_ids[0]], whole.output())
    assert len(alone(model, [1, 0])) == 2


def test_what_is_said_of_an_operator_is_json(int8_model: bytes) -> None:
    first = operators(int8_model)[0]
    assert json.loads(json.dumps([first.index, first.macs, first.bytes, first.outputs[0].shape]))
