"""Charts as inline SVG: bars with intervals, line charts with axes, small curves. No script, no torch.

This module computes where things lie; `templates/*.svg.j2` draw them. Colours come from the page's style
(`tone-<arm>` and `series-<n>`), so that charts follow light and dark mode.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from unichar.evaluation.metrics import ARMS
from unichar.evaluation.statistics import Estimate
from unichar.pages.render import render_html

Points = list[tuple[float, float]]
"""(x, y) in order of x."""

NUM_SERIES = 6
"""Colours for lines in one chart; `line_chart` takes no more."""
_BAR = 120.0
"""Length of a bar, in the units of its SVG."""
_MOST_POINTS = 240
"""Points of a line; the chart is about twice as many pixels wide."""
_SMOOTHING = 16
"""A moving average reaches over 1/16 of a line to either side."""


@dataclass(frozen=True)
class Tick:
    """A number at an axis: its text, and where it stands along the axis."""

    text: str
    position: float


@dataclass(frozen=True)
class Line:
    """One line of a chart, in SVG coordinates."""

    name: str
    last: str
    """Its last average, as text."""
    raw: Points
    smooth: Points
    """The moving average; empty where the line is too short for one."""


class Plane:
    """Maps numbers to SVG coordinates, which count from the top left."""

    width, height = 520.0, 250.0
    left, right, top, bottom = 58.0, 14.0, 12.0, 44.0
    """Margins, which hold the numbers and names of the axes."""

    def __init__(self, *, x: tuple[float, float], y: tuple[float, float]) -> None:
        self.x_ends, self.y_ends = x, y

    def x(self, value: float) -> float:
        """Where a number of the horizontal axis lies."""
        fraction = (value - self.x_ends[0]) / (self.x_ends[1] - self.x_ends[0])
        return self.left + fraction * (self.width - self.left - self.right)

    def y(self, value: float) -> float:
        """Where a number of the vertical axis lies."""
        fraction = (value - self.y_ends[0]) / (self.y_ends[1] - self.y_ends[0])
        # Greater numbers lie higher, and SVG counts downwards.
        return self.height - self.bottom - fraction * (self.height - self.top - self.bottom)

    def points(self, points: Points) -> Points:
        """SVG coordinates of (x, y)."""
        return [(self.x(x), self.y(y)) for x, y in points]


def tone(arm: str) -> str:
    """The style class that gives an arm its colour."""
    return f"tone-{arm}" if arm in ARMS else "tone-other"


def bar(estimate: Estimate, arm: str, *, low: float, high: float) -> Markup:
    """A bar from `low` to the value on a scale that ends at `high`, with a whisker for the interval."""
    # A scale whose ends coincide would divide by zero; any length shows its one value at the start.
    span = (high - low) or 1.0

    def position(value: float) -> float:
        # An interval may reach beyond the scale; its whisker ends there.
        return _BAR * min(max((value - low) / span, 0.0), 1.0)

    return render_html(
        "evaluation/templates/bar.svg.j2",
        estimate=estimate,
        tone=tone(arm),
        length=_BAR,
        value=position(estimate.value),
        left=position(estimate.low),
        right=position(estimate.high),
    )


def line_chart(series: Mapping[str, Points], *, title: str, x_label: str, y_label: str) -> Markup:
    """A figure with one line a name: the numbers pale, their moving average strong, axes, and a legend.

    Args:
        series: Name -> (x, y) in order of x, finite; one to six lines, each of at least one point.
        title: Heading above the chart.
        x_label: Under the horizontal axis.
        y_label: Beside the vertical axis.
    """
    assert 1 <= len(series) <= NUM_SERIES, "the caller splits larger families"
    thinned = {name: thin(points, _MOST_POINTS) for name, points in series.items()}

    # All lines lie on one pair of axes.
    x_values = [x for points in thinned.values() for x, _ in points]
    y_values = [y for points in thinned.values() for _, y in points]
    y_ticks = ticks(y_values)
    plane = Plane(x=_ends(x_values), y=(y_ticks[0], y_ticks[-1]))

    # Ticks enclose the numbers; the horizontal axis ends with the numbers, so outer ticks are left out there.
    x_ticks = [x for x in ticks(x_values) if plane.x_ends[0] <= x <= plane.x_ends[1]]

    # What a screen reader says instead of the drawing.
    spoken = [f"{name} from {points[0][1]:.3g} to {points[-1][1]:.3g}" for name, points in thinned.items()]

    return render_html(
        "evaluation/templates/line_chart.svg.j2",
        title=title,
        alt=f"{title}: {'; '.join(spoken)}",
        x_label=x_label,
        y_label=y_label,
        plane=plane,
        x_ticks=[Tick(_tick(x), plane.x(x)) for x in x_ticks],
        y_ticks=[Tick(_tick(y), plane.y(y)) for y in y_ticks],
        lines=[_line(name, points, plane) for name, points in thinned.items()],
    )


def sparkline(values: Sequence[float], *, width: int, height: int, most: int) -> Markup:
    """A curve without axes as an SVG document of whole pixels.

    Args:
        values: At least one finite number, in order.
        width: Pixels; the first number lies at 0, the last at `width`.
        height: Pixels; 2 of them stay free above and below.
        most: Points at most, each a mean of its neighbours.
    """
    points = thin([(float(i), value) for i, value in enumerate(values)], most)
    low, high = min(y for _, y in points), max(y for _, y in points)
    # A flat curve lies at the bottom; a single point at the left.
    span = (high - low) or 1.0
    step = width / max(len(points) - 1, 1)

    placed = []
    for i, (_, value) in enumerate(points):
        placed.append((round(i * step), round(height - 2 - (height - 4) * (value - low) / span)))
    return render_html("evaluation/templates/sparkline.svg.j2", points=placed, width=width, height=height)


def ticks(values: Sequence[float], *, num: int = 5) -> list[float]:
    """About `num` round numbers, rising, that enclose `values`."""
    low, high = min(values), max(values)
    if low == high:
        # One number has no extent: its axis reaches half of its size to either side.
        low, high = low - (abs(low) or 1.0) / 2, high + (abs(high) or 1.0) / 2

    # The least of the round steps that needs no more than `num` ticks.
    rough = (high - low) / (num - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)

    # The tolerance keeps an end that is a tick already from growing by one more step.
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [step * i for i in range(first, last + 1)]


def thin(points: Points, most: int) -> Points:
    """At most `most` points, each the mean of its neighbours."""
    if len(points) <= most:
        return points

    # Bin sizes differ by at most one point, and every point is in one bin.
    edges = [round(i * len(points) / most) for i in range(most + 1)]
    bins = [points[a:b] for a, b in itertools.pairwise(edges)]

    thinned = []
    for members in bins:
        thinned.append((_mean([x for x, _ in members]), _mean([y for _, y in members])))
    return thinned


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Least and greatest; a single number gets half a unit on both sides."""
    low, high = min(values), max(values)
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def _line(name: str, points: Points, plane: Plane) -> Line:
    values = [y for _, y in points]
    reach = len(points) // _SMOOTHING

    # A short line is its own average.
    smooth = []
    if reach:
        for i, (x, _) in enumerate(points):
            # At the ends of the line the window is cut off.
            window = values[max(0, i - reach) : i + reach + 1]
            smooth.append((x, _mean(window)))

    last = _mean(values[-max(1, reach) :])
    return Line(name=name, last=f"{last:.3g}", raw=plane.points(points), smooth=plane.points(smooth))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _tick(value: float) -> str:
    # Six digits hide the rounding of `step * i`; exponents need no leading zero.
    return f"{value:.6g}".replace("e-0", "e-").replace("e+0", "e")
