"""Which way is better, and when a difference is one."""

import pytest
from factories_evaluation import make_report_input

from unichar.evaluation.metrics import ARMS, HEADLINE_ARMS, HEADLINES, METRICS, compare, measured, remarks
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


def test_main_arms_are_known_in_the_order_of_training():
    assert [arm for arm in ARMS if arm in HEADLINE_ARMS] == list(HEADLINE_ARMS)


def test_remarks_say_what_the_intervals_allow():
    arms = {arm: dict(metrics) for arm, metrics in make_report_input().arms.items()}
    arms["grpo"]["alignment"] = Estimate(value=0.9, low=0.85, high=0.95, n=10)
    arms["grpo"]["diversity"] = Estimate(value=0.1, low=0.05, high=0.15, n=10)
    identity, alignment, diversity = remarks(arms)
    assert "identity" in identity and "cannot be told from SFT's" in identity
    assert alignment == "GRPO raised alignment from 0.70 to 0.90 on held-out prompts."
    assert diversity == "GRPO lowered diversity from 0.33 to 0.10 on held-out prompts."
