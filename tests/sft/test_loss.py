"""The objective, from sums and counts."""

import pytest
import torch

from unichar.sft.loss import PICTURES, TEXT, LossAccumulator, unified_loss
from unichar.training.scalars import read_scalars


def accumulator(*rows: tuple[str, float, int]) -> LossAccumulator:
    counted = LossAccumulator()
    for name, errors, count in rows:
        counted.add(name, torch.tensor(errors), count)
    return counted


def loss_of(counted: LossAccumulator, *, ce_weight: float, mse_weight: float) -> dict[str, float]:
    names = list(counted.sums)
    sums = dict(zip(names, read_scalars(counted.sums, names), strict=True))
    return unified_loss(sums, counted.counts, ce_weight=ce_weight, mse_weight=mse_weight)


def test_the_objective_is_the_weighted_sum_of_both_means():
    counted = accumulator(("ce_role_play", 3.0, 2), ("ce_knowledge_qa", 6.0, 1), ("mse_portraits", 0.6, 2))
    assert loss_of(counted, ce_weight=0.25, mse_weight=2.0) == pytest.approx(
        {
            "loss": 0.25 * 3.0 + 2.0 * 0.3,
            "ce": 3.0,
            "mse": 0.3,
            "ce_role_play": 1.5,
            "ce_knowledge_qa": 6.0,
            "mse_portraits": 0.3,
        }
    )
    assert (counted.count(TEXT), counted.count(PICTURES)) == (3, 2)


def test_microbatches_give_the_means_of_the_whole_step():
    parts = accumulator(("ce_role_play", 1.0, 1), ("ce_role_play", 5.0, 3))
    assert loss_of(parts, ce_weight=1, mse_weight=1) == loss_of(
        accumulator(("ce_role_play", 6.0, 4)), ce_weight=1, mse_weight=1
    )


def test_what_a_step_does_not_cover_is_absent():
    counted = accumulator(("mse_portraits", 0.5, 1), ("ce_role_play", 0.0, 0))
    assert loss_of(counted, ce_weight=0.25, mse_weight=1.0) == {
        "loss": 0.5,
        "mse": 0.5,
        "mse_portraits": 0.5,
    }
