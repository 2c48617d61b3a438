"""Charts lie where the numbers say, and are well-formed."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from unichar.evaluation.charts import bar, line_chart, sparkline, thin, ticks, tone
from unichar.evaluation.statistics import Estimate


def coordinates(points: str) -> list[list[float]]:
    """The value of the attribute `points` as numbers."""
    return [[float(number) for number in pair.split(",")] for pair in points.split()]


def test_a_bar_ends_at_its_value_and_stays_inside_the_scale():
    estimate = Estimate(value=0.25, low=-1.0, high=9.0, n=3)
    svg = ElementTree.fromstring(bar(estimate, "sft", low=0.0, high=1.0))
    assert float(svg.findall("rect")[1].get("width", "")) == 30.0
    whisker = svg.findall("line")[0]
    assert (whisker.get("x1"), whisker.get("x2")) == ("0", "120")
    assert "tone-sft" in svg.get("class", "")


@pytest.mark.parametrize(
    ("values", "first", "last"),
    [
        ([0.13, 0.97], 0.0, 1.0),
        ([3.0], 0.0, 5.0),
        ([0.0], -0.5, 0.5),
        ([-4.0, 410.0], -200, 600),
        ([2e-5, 3e-5], 2e-5, 3e-5),
    ],
)
def test_ticks_are_few_round_and_enclose(values, first, last):
    found = ticks(values)
    low, high = min(values), max(values)
    assert found[0] <= low + 1e-9 * abs(low) and found[-1] >= high - 1e-9 * abs(high)
    assert first <= found[0] + 1e-12 and found[-1] <= last + 1e-12
    assert 3 <= len(found) <= 7


def test_a_line_falls_when_numbers_fall_and_the_legend_names_each():
    falling, rising = [(float(i), 5.0 - i / 10) for i in range(10)], [(0.0, 1.0), (9.0, 2.0)]
    chart = line_chart({"text": falling, "a < b": rising}, title="T", x_label="step", y_label="y")
    ElementTree.fromstring(chart)
    first, second = [coordinates(line) for line in re.findall(r'points="([^"]+)"', chart)]
    assert first[0][1] < first[-1][1], "SVG counts downwards"
    assert second[0][1] > second[-1][1]
    assert "a &lt; b 2" in chart and "text 4.1" in chart


def test_long_curves_are_thinned_and_smoothed():
    chart = line_chart(
        {"loss": [(float(i), i % 7) for i in range(5000)]}, title="T", x_label="step", y_label="loss"
    )
    pale, strong = (line.split() for line in re.findall(r'points="([^"]+)"', chart))
    assert len(pale) == len(strong) == 240


def test_one_point_is_a_dot():
    assert "<circle" in line_chart({"loss": [(3.0, 1.0)]}, title="T", x_label="step", y_label="loss")


def test_an_unknown_arm_has_a_colour_too():
    assert (tone("grpo"), tone('x"')) == ("tone-grpo", "tone-other")


def test_thinning_takes_means_of_neighbours_and_leaves_short_curves_alone():
    points = [(float(i), float(i % 2)) for i in range(8)]
    assert thin(points, 4) == [(0.5, 0.5), (2.5, 0.5), (4.5, 0.5), (6.5, 0.5)]
    assert thin(points, 8) is points


def test_a_sparkline_fills_its_box_with_whole_pixels():
    svg = sparkline([3.0, 2.0, 1.0], width=240, height=60, most=60)
    assert ElementTree.fromstring(svg)[0].get("points") == "0,2 120,30 240,58"
    assert 'points="0,58 240,58"' in sparkline([1.0, 1.0], width=240, height=60, most=60)
