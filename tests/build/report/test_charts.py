"""Charts: values are where the axes say, and every picture has words in its place."""

import re
from xml.etree import ElementTree

import pytest

from edgecnn.build.report.charts import Axis, Plot, frontier, shortened


def test_values_are_where_the_axis_says() -> None:
    axis = Axis(title="x", values=(0.0, 10.0))
    low, high = axis.span()
    assert low < 0
    assert high > 10
    assert axis.place(low) == 0
    assert axis.place(high) == 1
    assert abs(axis.place(5) - 0.5) < 1e-9
    decades = Axis(title="x", values=(1, 100), logarithmic=True)
    assert abs(decades.place(10) - 0.5) < 1e-9


@pytest.mark.parametrize("values", [(0.0, 1.0), (0.98, 0.99), (3.0,), (0.0,), (-5.0, 1e6), (0.5, 0.500001)])
def test_an_axis_has_some_ticks_inside_it(values: tuple[float, ...]) -> None:
    axis = Axis(title="x", values=values)
    low, high = axis.span()
    assert 2 <= len(axis.ticks()) <= 12
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in axis.ticks())


@pytest.mark.parametrize("values", [(1.0, 1000.0), (0.15, 0.44), (193_000.0, 194_000.0), (5.0,)])
def test_so_has_a_logarithmic_one(values: tuple[float, ...]) -> None:
    axis = Axis(title="x", values=values, logarithmic=True)
    low, high = axis.span()
    assert 2 <= len(axis.ticks()) <= 12
    assert all(low <= tick <= high for tick in axis.ticks())


def test_limits_hold() -> None:
    assert Axis(title="x", values=(0.99, 1.0), limits=(0.0, 1.0)).span()[1] == 1.0


def test_the_frontier_is_what_nothing_beats() -> None:
    points = [(1.0, 0.5), (2.0, 0.4), (2.0, 0.9), (3.0, 0.9), (4.0, 0.95)]
    assert frontier(points) == [(1.0, 0.5), (2.0, 0.9), (4.0, 0.95)]


def test_a_plot_is_xml_with_its_words_escaped_and_its_marks_inside() -> None:
    plot = Plot(
        x=Axis(title="<bytes>", values=(1, 9)), y=Axis(title="y", values=(0, 1)), says='what "there" is <to> see'
    )
    plot.line([(1, 0), (9, 1)])
    plot.dot((5, 0.5))
    plot.whisker(5, 0.2, 0.8)
    plot.bar(2, 3, 0.4)
    plot.text((8.9, 0.5), "a long note & more")
    plot.numbered([(1, 0), (1.001, 0.001), (9, 1)])
    root = ElementTree.fromstring(plot.svg())
    assert root.get("role") == "img"
    assert root.get("aria-label") == 'what "there" is <to> see'
    assert [each.text for each in root.iter("text") if each.get("class") == "on-pill"] == ["1,2", "3"]
    xs = [float(x) for x, _ in re.findall(r"([\d.]+),([\d.]+)", root.findall("polyline")[0].get("points") or "")]
    assert 50 < xs[0] < xs[1] < 390


def test_a_long_name_is_shortened() -> None:
    assert shortened("a" * 30, 10) == "a" * 9 + "…"
