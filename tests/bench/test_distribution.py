import numpy as np
import pytest

from edgecnn.bench import distribution
from edgecnn.bench.distribution import Panel, draw

RANDOM = np.random.default_rng(0)


def rows_of(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.flatnonzero((picture == colour).all(axis=2).any(axis=1))


def columns_of(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.flatnonzero((picture == colour).all(axis=2).any(axis=0))


def test_runs_share_one_axis_and_the_slower_is_further_right() -> None:
    fast, slow = RANDOM.normal(1, 0.02, 500), RANDOM.normal(4, 0.1, 500)
    picture = draw([Panel("fast", fast, (0.99, 1.01)), Panel("slow", slow, None)])
    assert picture.dtype == np.uint8
    bars = 26 + 90 + 14
    first, second = (picture[40 + place * bars : 40 + (place + 1) * bars] for place in range(2))
    assert columns_of(first, distribution._LINE).max() + 300 < columns_of(second, distribution._LINE).min()
    assert len(columns_of(first, distribution._BAND)) > 2
    assert len(columns_of(second, distribution._BAND)) == 0


def test_the_median_stands_in_its_interval_and_the_tallest_bar_is_whole() -> None:
    samples = RANDOM.lognormal(0, 0.1, 1000)
    picture = draw([Panel("run", samples, (0.9, 1.1))])
    band, line = columns_of(picture, distribution._BAND), columns_of(picture, distribution._LINE)
    assert band.min() < line.min() <= line.max() < band.max()
    through = tuple(np.minimum(distribution._FILL, distribution._BAND))  # a bar in the band
    assert 84 <= np.ptp(rows_of(picture, through)) <= 90


def test_a_very_slow_invoke_does_not_squeeze_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(distribution, "draw_text", lambda image, text, at: said.append(text))
    samples = np.append(RANDOM.normal(1, 0.02, 999), 500.0)
    picture = draw([Panel("run", samples, None)])
    assert len(columns_of(picture, distribution._FILL)) > 100
    assert any("1 slower than" in text for text in said)


@pytest.mark.parametrize("samples", [[1.0], [2.0, 2.0], [0.5, 50.0]])
def test_few_and_equal_times_are_drawn_too(samples: list[float]) -> None:
    picture = draw([Panel("Ünïcode", np.array(samples), None)])
    assert len(columns_of(picture, distribution._LINE)) >= 2
