"""The charts of a report's page: which figures go on which axes."""

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any

from markupsafe import Markup

from edgecnn.build.report.charts import Axis, Plot, frontier, shortened, with_title

_FROM_0_TO_1 = (0.0, 1.0)
_FAR_APART = 20  # losses: one that learns from a teacher is larger than the one of validation by such factors
Figures = Mapping[str, Any]


def size(number: float) -> str:
    """Bytes in the unit that suits them: ``715 kB``."""
    for unit, factor in (("MB", 1e6), ("kB", 1e3)):
        if number >= factor:
            digits = 0 if number >= 100 * factor else 1
            return f"{number / factor:.{digits}f} {unit}"
    return f"{number:.0f} B"


def _short(number: float) -> str:
    return f"{number:.3g}"


COSTS: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("size_bytes", "bytes of the file", size),
    ("gzip_bytes", "bytes of the download (gzip)", size),
    ("p50_ms", "p50 of one invoke, ms", _short),
)


def path(steps: Sequence[Figures], names: Sequence[str]) -> Markup:
    """The accuracy through the stages, with its intervals."""
    bounds = [end for step in steps for end in step["accuracy_interval"]]
    told = "; ".join(f"{name} {step['accuracy']:.4f}" for name, step in zip(names, steps, strict=True))
    plot = Plot(
        x=Axis(title="", values=(-0.4, len(steps) - 0.6), limits=(-0.4, len(steps) - 0.6)),
        y=Axis(title="accuracy", values=bounds, limits=_FROM_0_TO_1, shown="{:.4g}".format),
        says=f"The accuracy on the test split through the stages: {told}",
    )
    plot.line([(place, step["accuracy"]) for place, step in enumerate(steps)], "thin")
    for place, step in enumerate(steps):
        plot.whisker(place, *step["accuracy_interval"])
    plot.numbered([(place, step["accuracy"]) for place, step in enumerate(steps)])
    return plot.svg(x_names=[shortened(name, max(6, 54 // len(steps))) for name in names])


def frontiers(rows: Sequence[Figures]) -> list[Markup]:
    """Accuracy against file, download and latency, with a line through what nothing else beats."""
    return [_frontier(rows, *cost) for cost in COSTS]


def _frontier(rows: Sequence[Figures], cost: str, title: str, shown: Callable[[float], str]) -> Markup:
    points = [(row[cost], row["accuracy"]) for row in rows]
    best = frontier(points)
    unbeaten = ", ".join(f"{number}" for number, point in enumerate(points, 1) if point in best)
    plot = Plot(
        x=Axis(title=title, values=[x for x, _ in points], logarithmic=True, shown=shown),
        y=Axis(title="accuracy", values=[y for _, y in points], limits=_FROM_0_TO_1, shown="{:.4g}".format),
        says=f"Accuracy against {title}. No other is both better and cheaper than number {unbeaten}.",
        height=220,
    )
    plot.line(best, "dashed")
    plot.numbered(points)
    return with_title(plot.svg(), f"Accuracy against {title}")


def reliability(bins: Sequence[Figures]) -> Markup:
    """The share of right answers against what the scores say; on the line both are the same."""
    told = "; ".join(f"score {each['score']:.2f}, right {each['right']:.2f} of {each['n']}" for each in bins)
    plot = Plot(
        x=Axis(title="score", values=_FROM_0_TO_1, limits=_FROM_0_TO_1),
        y=Axis(title="right", values=_FROM_0_TO_1, limits=_FROM_0_TO_1),
        says=f"Share of right answers by score: {told}",
        height=300,
    )
    for each in bins:
        plot.bar(each["from"] + 0.004, each["to"] - 0.004, each["right"])
    plot.line([(0, 0), (1, 1)], "dashed")
    most = max(each["n"] for each in bins)
    for each in bins:
        plot.dot((each["score"], each["right"]), radius=round(2.5 + 4.5 * (each["n"] / most) ** 0.5, 1))
    return with_title(plot.svg(), "Share of right answers against their score; larger dots are more images")


def curves(epochs: Sequence[Figures]) -> list[Markup]:
    """Loss and accuracy of each epoch on training and validation, where they are numbers."""
    charts = []
    for name in ("accuracy", "loss"):
        lines = {
            kind: [(place, each[key]) for place, each in enumerate(epochs, 1) if isfinite(each.get(key, float("nan")))]
            for kind, key in (("training", name), ("validation", f"val_{name}"))
        }
        if all(lines.values()):
            charts.append(_curves(name, lines))
    return charts


def _curves(name: str, lines: Mapping[str, Sequence[tuple[float, float]]]) -> Markup:
    told = "; ".join(f"{kind} from {line[0][1]:.4g} to {line[-1][1]:.4g}" for kind, line in lines.items())
    values = [value for line in lines.values() for _, value in line]
    places = [place for line in lines.values() for place, _ in line]
    limits = _FROM_0_TO_1 if name == "accuracy" else (0.0, float("inf"))
    far_apart = name == "loss" and min(values) > 0 and max(values) > _FAR_APART * min(values)
    plot = Plot(
        x=Axis(title="epoch", values=places, shown=lambda tick: f"{tick:g}" if tick == int(tick) else ""),
        y=Axis(title=name, values=values, limits=limits, logarithmic=far_apart, shown=_short),
        says=f"{name} by epoch: {told}",
        height=200,
    )
    for kind, line in lines.items():
        plot.line(line, kind)
        for point in line if len(line) <= 30 else line[-1:]:
            plot.dot(point, kind, radius=2.2)
    key = Markup('<span class="key {}"></span>{} ')
    legend = Markup("").join(key.format(kind, kind) for kind in lines)
    title = name.capitalize() + (", on a logarithmic axis" if far_apart else "")
    return Markup("<figure><figcaption>{} {}</figcaption>{}</figure>").format(title, legend, plot.svg())
