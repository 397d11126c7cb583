from dataclasses import replace

import numpy as np
import pytest

from edgecnn.bench import captions, roofline
from edgecnn.bench.captions import Box
from edgecnn.bench.roofline import dots, draw
from tests.bench.test_layers import LIMITS, layers

TITLE, ADVICE = "Ünïcode", ["Prune next. " * 30]


def places_of(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.argwhere((picture == colour).all(axis=2))


def test_the_dots_are_the_operators_that_were_timed() -> None:
    second, first, odd = dots(layers())
    assert [each.name for each in (second, first, odd)] == ["second", "first", "odd"]
    assert (first.kind, odd.kind) == ("convolution", "without MACs")
    assert first.macs_a_byte == pytest.approx(2_000_000 / 5280)
    assert first.rate == pytest.approx(2_000_000 / 4e-3)
    assert (odd.macs_a_byte, odd.rate) == (None, pytest.approx(1280 / 1e-3))
    assert [each.share for each in (second, first, odd)] == [0.5, 0.4, 0.1]
    assert all(each.prune_next for each in (second, first, odd))


def test_each_dot_is_drawn_where_its_rates_are(monkeypatch: pytest.MonkeyPatch) -> None:
    circles: list[tuple[tuple[int, int], int]] = []
    monkeypatch.setattr(roofline, "_dot", lambda image, centre, radius, colour: circles.append((centre, radius)))
    picture = draw(layers(), title=TITLE, advice=ADVICE)
    assert (picture.shape, picture.dtype) == ((800, 1120, 3), np.uint8)
    second, first, odd = circles
    assert first[0][0] > second[0][0] > odd[0][0] == roofline._LEFT  # more MACs a byte, fewer, none
    assert first[0][1] < second[0][1]  # a higher rate
    assert second[1] > first[1] > odd[1]
    assert second[1] ** 2 / first[1] ** 2 == pytest.approx(0.5 / 0.4, rel=0.1)  # areas are times


@pytest.mark.lengthy
def test_the_roofs_are_where_the_limits_are() -> None:
    low, high = (
        draw(layers(limits=replace(LIMITS, memory_bytes_per_s=rate)), title=TITLE, advice=ADVICE) for rate in (1e6, 5e6)
    )
    assert not np.array_equal(low, high)
    roofs = places_of(low, roofline._ROOF)
    assert len(roofs) > 500
    assert len(places_of(low, roofline._RING)) > 20


@pytest.mark.parametrize("times", [(0.0, 0.0, 0.0, None), (None,) * 4, (1e-6, 1e3, 1.0, None)])
def test_times_of_any_size_are_drawn(times: tuple[float | None, ...]) -> None:
    picture = draw(layers(times_ms=times), title=TITLE, advice=[])
    assert len(places_of(picture, roofline._ROOF)) > 500


def test_labels_do_not_lie_on_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[Box] = []
    write = captions.write
    monkeypatch.setattr(captions, "write", lambda *given: names.append(write(*given)) or names[-1])
    draw(layers(times_ms=(5.0, 5.0, 10.0, None)), title=TITLE, advice=[])
    assert len(names) == 3 + 2  # the dots and the slopes
    pairs = [(one, other) for one in names for other in names if one is not other]
    assert not any(captions.overlap(one, other) for one, other in pairs)
