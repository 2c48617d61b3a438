"""The learning rate rises, stays, falls, and never reaches zero."""

import pytest
import torch

from unichar.training.schedule import set_factor, trapezoid


def test_trapezoid_rises_stays_and_falls():
    factors = [trapezoid(step, 100, warmup=0.1, decay=0.4) for step in range(100)]
    assert factors[:10] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    assert set(factors[9:61]) == {1.0}
    assert factors[61:] == sorted(factors[61:], reverse=True)
    assert factors[-1] == pytest.approx(1 / 40)


@pytest.mark.parametrize("total", [1, 2, 3, 7])
def test_short_runs_still_learn_at_every_step(total):
    assert all(0 < trapezoid(step, total, warmup=0.05, decay=0.5) <= 1 for step in range(total))


def test_factors_apply_to_the_rate_each_group_was_built_with():
    weights = [torch.zeros(1, requires_grad=True) for _ in range(2)]
    optimizer = torch.optim.AdamW([{"params": weights[:1], "lr": 0.1}, {"params": weights[1:], "lr": 0.01}])
    for factor in (0.5, 0.25, 1.0, 0.5):
        set_factor(optimizer, factor)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.05, 0.005])
