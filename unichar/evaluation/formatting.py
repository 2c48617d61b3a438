"""Numbers as people read them: durations, counts, intervals. No torch."""

import math
from numbers import Real
from typing import Any

from unichar.evaluation.statistics import Estimate

_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def duration(seconds: float) -> str:
    """As `3.2 s`, `48 s`, `2 min 19 s` or `3 h 05 min`."""
    # Rounded first, so that 59.6 s is 1 min 00 s and not 60 s.
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def amount(number: Any) -> str:
    """A count, as `812`, `12,400`, `1.3 million` or `2.1 × 10¹⁵`; `–` for `None`; else its text."""
    if number is None:
        return "–"
    # A bool is a number to Python, but not to a reader.
    if isinstance(number, bool) or not isinstance(number, Real):
        return str(number)

    value = float(number)
    # Beyond a thousand million a power of ten is easier to compare than a long row of digits.
    if value >= 1e9:
        power = int(math.log10(value))
        return f"{value / 10**power:.1f} × 10{str(power).translate(_RAISED)}"
    if value >= 1e6:
        return f"{value / 1e6:.1f} million"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def interval(estimate: Estimate) -> str:
    """The ends of an interval, as `0.81–0.92`."""
    return f"{estimate.low:.2f}–{estimate.high:.2f}"


def signed(difference: float) -> str:
    """A difference with its sign, as `+0.56` or `−1.71`, with a real minus."""
    return f"{difference:+.2f}".replace("-", "−")


def trend(before: Estimate, after: Estimate) -> str:
    """An arrow up, down, or level where both show the same two decimals."""
    # Compared as shown, so that an arrow never contradicts the two numbers beside it.
    if f"{before.value:.2f}" == f"{after.value:.2f}":
        return "→"
    return "↗" if after.value > before.value else "↘"
