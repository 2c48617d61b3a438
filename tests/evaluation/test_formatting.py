"""Numbers as people read them."""

import pytest

from unichar.evaluation.formatting import amount, duration, interval, signed, trend
from unichar.evaluation.statistics import Estimate


def at(value: float) -> Estimate:
    return Estimate(value=value, low=value - 0.05, high=value + 0.05, n=9)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(3.21, "3.2 s"), (48, "48 s"), (139, "2 min 19 s"), (11_100, "3 h 05 min")]
)
def test_durations_in_the_largest_unit_that_fits(seconds, shown):
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [(None, "–"), (812, "812"), (12_400, "12,400"), (1_284_000, "1.3 million"), (2.13e15, "2.1 × 10¹⁵")],
)
def test_counts_with_few_digits(number, shown):
    assert amount(number) == shown


def test_intervals_and_differences_have_two_decimals_and_a_real_minus():
    assert interval(at(0.87)) == "0.82–0.92"
    assert (signed(0.558), signed(-1.71)) == ("+0.56", "−1.71")


def test_an_arrow_is_level_where_the_shown_decimals_agree():
    assert (trend(at(0.3), at(0.5)), trend(at(0.5), at(0.3))) == ("↗", "↘")
    assert trend(at(0.501), at(0.502)) == "→"
