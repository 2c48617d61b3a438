"""Which way is better, and when a difference is one."""

import pytest

from unichar.evaluation.metrics import HEADLINES, METRICS, compare, measured
from unichar.evaluation.statistics import Estimate

IDENTITY, NLL, _ = HEADLINES


def around(value: float, half: float = 0.05) -> Estimate:
    return Estimate(value=value, low=value - half, high=value + half, n=20)


@pytest.mark.parametrize(
    ("metric", "before", "after", "verdict"),
    [
        (IDENTITY, 0.3, 0.9, "better"),
        (IDENTITY, 0.9, 0.3, "worse"),
        (NLL, 4.5, 2.8, "better"),
        (NLL, 2.8, 4.5, "worse"),
        (IDENTITY, 0.87, 0.89, "unclear"),
        (NLL, 2.87, 2.84, "unclear"),
    ],
)
def test_direction_and_overlap(metric, before, after, verdict):
    assert compare(metric, around(before), around(after)) == verdict


def test_every_metric_is_explained_in_one_sentence():
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert all(metric.meaning.endswith(".") and metric.range for metric in METRICS)


def test_range_in_words():
    assert (IDENTITY.range, NLL.range) == ("0–1, higher is better", "nats/token, lower is better")


def test_measured_keeps_the_order_of_the_table():
    assert [metric.name for metric in measured({"held_out_nll", "identity"})] == ["identity", "held_out_nll"]
