"""Drawings of a report as inline SVG: bars with intervals, line charts with axes. No script, no library, no torch.

Colours come from the page's style (`tone-<arm>` and `series-<n>`), so that charts follow light and dark.
"""

import itertools
import math
from collections.abc import Mapping, Sequence

from unichar.evaluation.markup import Markup, element, join
from unichar.evaluation.metrics import ARMS
from unichar.evaluation.statistics import Estimate

Points = list[tuple[float, float]]

NUM_SERIES = 6
"""Colours for lines in one chart; `line_chart` takes no more."""
_BAR, _BAR_HEIGHT = 120.0, 12.0
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 520.0, 250.0, 58.0, 14.0, 12.0, 44.0
_MOST_POINTS = 240


def tone(arm: str) -> str:
    """The style class that gives an arm its colour."""
    return f"tone-{arm}" if arm in ARMS else "tone-other"


def bar(estimate: Estimate, arm: str, *, low: float, high: float) -> Markup:
    """A bar from `low` to the value on a scale that ends at `high`, with a whisker for the interval."""
    span = (high - low) or 1.0

    def place(value: float) -> float:
        return _BAR * min(max((value - low) / span, 0.0), 1.0)

    middle, left, right = _BAR_HEIGHT / 2, place(estimate.low), place(estimate.high)
    whisker = [(left, middle, right, middle), (left, 2, left, 10), (right, 2, right, 10)]
    return element(
        "svg",
        element("rect", class_="track", x=0, y=3, width=_BAR, height=6, rx=1.5),
        element("rect", class_="fill", x=0, y=3, width=place(estimate.value), height=6, rx=1.5),
        *(element("line", class_="whisker", x1=x1, y1=y1, x2=x2, y2=y2) for x1, y1, x2, y2 in whisker),
        class_=f"bar {tone(arm)}",
        viewBox=f"-1 0 {_BAR + 2:g} {_BAR_HEIGHT:g}",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"{estimate.value:.2f}, 95 % interval {estimate.low:.2f} to {estimate.high:.2f}",
    )


def line_chart(series: Mapping[str, Points], *, title: str, x_label: str, y_label: str) -> Markup:
    """A figure with one line a name: the numbers pale, their moving average strong, axes with round ticks, and a legend.

    Args:
        series: Name -> (x, y) in order of x, finite; one to six lines, each of at least one point.
        title: Heading above the chart.
        x_label: Under the horizontal axis.
        y_label: Beside the vertical axis.
    """
    assert 1 <= len(series) <= NUM_SERIES, "the caller splits larger families"
    lines = {name: _thin(points) for name, points in series.items()}
    x_ticks = ticks([x for points in lines.values() for x, _ in points])
    y_ticks = ticks([y for points in lines.values() for _, y in points])
    x_ends = (min(points[0][0] for points in lines.values()), max(points[-1][0] for points in lines.values()))
    frame = _Frame(
        x=x_ends if x_ends[0] < x_ends[1] else (x_ends[0] - 0.5, x_ends[1] + 0.5), y=(y_ticks[0], y_ticks[-1])
    )
    drawn = [_line(frame, points, number) for number, points in enumerate(lines.values(), 1)]
    svg = element(
        "svg",
        *frame.axes(x_ticks, y_ticks, x_label=x_label, y_label=y_label),
        *drawn,
        class_="chart",
        viewBox=f"0 0 {_WIDTH:g} {_HEIGHT:g}",
        role="img",
        aria_label=_spoken(title, lines),
    )
    return element("figure", element("figcaption", element("b", title), _legend(lines)), svg, class_="plot")


def ticks(values: Sequence[float], *, num: int = 5) -> list[float]:
    """About `num` round numbers, rising, the first at or under the least of `values`, the last at or over the greatest."""
    low, high = min(values), max(values)
    if low == high:
        low, high = low - (abs(low) or 1.0) / 2, high + (abs(high) or 1.0) / 2
    rough = (high - low) / (num - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [step * i for i in range(first, last + 1)]


class _Frame:
    """Where numbers lie in a chart."""

    def __init__(self, *, x: tuple[float, float], y: tuple[float, float]) -> None:
        self.x, self.y = x, y

    def place(self, x: float, y: float) -> tuple[float, float]:
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return _LEFT + across * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)

    def axes(self, x_ticks: list[float], y_ticks: list[float], *, x_label: str, y_label: str) -> list[Markup]:
        """Grid lines with their numbers, and the names of both axes."""
        floor, parts = _HEIGHT - _BOTTOM, []
        for y in y_ticks:
            _, height = self.place(self.x[0], y)
            parts.append(element("line", class_="grid", x1=_LEFT, y1=height, x2=_WIDTH - _RIGHT, y2=height))
            parts.append(element("text", _tick(y), x=_LEFT - 8, y=height + 4, text_anchor="end"))
        for x in (x for x in x_ticks if self.x[0] <= x <= self.x[1]):
            across, _ = self.place(x, self.y[0])
            parts.append(element("line", class_="axis", x1=across, y1=floor, x2=across, y2=floor + 4))
            parts.append(element("text", _tick(x), x=across, y=floor + 17, text_anchor="middle"))
        parts.append(element("line", class_="axis", x1=_LEFT, y1=floor, x2=_WIDTH - _RIGHT, y2=floor))
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        parts.append(element("text", x_label, class_="name", x=middle, y=_HEIGHT - 8, text_anchor="middle"))
        turned = f"translate(14 {(_TOP + floor) / 2:g}) rotate(-90)"
        parts.append(element("text", y_label, class_="name", transform=turned, text_anchor="middle"))
        return parts


def _line(frame: _Frame, points: Points, number: int) -> Markup:
    places = [frame.place(x, y) for x, y in points]
    if len(places) == 1:
        return element("circle", class_=f"series-{number}", cx=places[0][0], cy=places[0][1], r=3)
    half = len(points) // 16
    if half == 0:
        return element("polyline", class_=f"strong series-{number}", points=_path(places))
    smooth = [
        frame.place(x, _mean(points[max(0, i - half) : i + half + 1])) for i, (x, _) in enumerate(points)
    ]
    return join(
        element("polyline", class_=f"pale series-{number}", points=_path(places)),
        element("polyline", class_=f"strong series-{number}", points=_path(smooth)),
    )


def _thin(points: Points) -> Points:
    """At most `_MOST_POINTS`, each a mean of its neighbours."""
    if len(points) <= _MOST_POINTS:
        return points
    edges = [round(i * len(points) / _MOST_POINTS) for i in range(_MOST_POINTS + 1)]
    bins = [points[a:b] for a, b in itertools.pairwise(edges)]
    return [(sum(x for x, _ in part) / len(part), _mean(part)) for part in bins]


def _mean(points: Points) -> float:
    return sum(y for _, y in points) / len(points)


def _path(places: Points) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _tick(value: float) -> str:
    return f"{value:.6g}".replace("e-0", "e-").replace("e+0", "e")


def _legend(lines: Mapping[str, Points]) -> Markup:
    """Names with the last average of their lines; one line alone is named by the title already."""
    if len(lines) == 1:
        return element("span", f"last {_last(*lines.values())}", class_="legend")
    entries = (
        element("span", element("i", class_=f"key series-{number}"), f"{name} {_last(points)}")
        for number, (name, points) in enumerate(lines.items(), 1)
    )
    return element("span", *entries, class_="legend")


def _last(points: Points) -> str:
    return f"{_mean(points[-max(1, len(points) // 16) :]):.3g}"


def _spoken(title: str, lines: Mapping[str, Points]) -> str:
    ways = (f"{name} from {points[0][1]:.3g} to {points[-1][1]:.3g}" for name, points in lines.items())
    return f"{title}: {'; '.join(ways)}"
