import pytest

from edgecnn.bench.groups import groups
from edgecnn.operators import Operator, Tensor


def made(index: int, kind: str, given: tuple[int, ...], out: int, channels: int) -> Operator:
    def tensor(size: int) -> Tensor:
        return Tensor(name="", shape=(1, 4, 4, size), type="int8", constant=False)

    inputs = tuple(tensor(channels) for _ in given)
    return Operator(
        index=index, type=kind, inputs=inputs, outputs=(tensor(channels),),
        input_ids=given, output_ids=(out,), macs=1, known=True,
    )  # fmt: skip


RESIDUAL = [
    made(0, "QUANTIZE", (0,), 1, 3),
    made(1, "CONV_2D", (1,), 2, 96),
    made(2, "CONV_2D", (2,), 3, 40),
    made(3, "DEPTHWISE_CONV_2D", (3,), 4, 40),
    made(4, "CONV_2D", (4,), 5, 96),
    made(5, "ADD", (2, 5), 6, 96),
    made(6, "FULLY_CONNECTED", (6,), 7, 10),
    made(7, "SOFTMAX", (7,), 8, 10),
]


def test_a_sum_ties_channels_and_the_ends_of_a_network_are_not_to_be_pruned() -> None:
    tied, inner = groups(RESIDUAL)
    assert (tied.makers, tied.takers, tied.others) == ((1, 4), (2, 6), (5,))
    assert (inner.makers, inner.takers, inner.others) == ((2,), (4,), (3,))
    assert (tied.channels, inner.channels) == (96, 40)


def test_channels_stay_multiples_of_what_a_kernel_takes_at_once() -> None:
    tied, inner = groups(RESIDUAL)
    assert tied.kept in (64, 80)
    assert inner.kept == 32
    for channels, kept in ((8, None), (16, None), (17, 16), (31, 16), (32, 16), (64, 48), (65, 48), (144, 112)):
        few = groups([made(0, "CONV_2D", (0,), 1, channels), made(1, "CONV_2D", (1,), 2, 8)])
        assert [group.kept for group in few] == ([kept] if kept else [])


def test_what_is_saved_is_the_time_of_all_that_touch_the_channels() -> None:
    _, inner = groups(RESIDUAL)
    assert inner.saves([100, 100, 1, 2, 3, 100, 100, 100], 0.25) == pytest.approx(0.25 * (1 + 2 + 3))
    (both,) = groups(
        [
            made(0, "CONV_2D", (0,), 1, 64),
            made(1, "CONV_2D", (1,), 2, 64),
            made(2, "ADD", (1, 2), 3, 64),
            made(3, "FULLY_CONNECTED", (3,), 4, 9),
        ]
    )
    assert (both.makers, both.takers) == ((0, 1), (1, 3))
    assert both.saves([1, 10, 1, 1], 0.5) == pytest.approx(0.5 * 3 + 0.75 * 10)  # it makes and takes them
