"""The objective is plain arithmetic."""

import pytest
import torch

from unichar.sft.loss import unified_loss


def test_both_parts_are_means_and_weighed():
    ce, mse = torch.tensor([1.0, 2.0, 6.0]), torch.tensor([0.5, 0.1])
    loss, parts = unified_loss(ce, mse, ce_weight=0.25, mse_weight=2.0)
    assert float(loss) == pytest.approx(0.25 * 3.0 + 2.0 * 0.3)
    assert parts == {"ce": pytest.approx(3.0), "mse": pytest.approx(0.3)}


def test_gradients_reach_both_sides_in_proportion():
    ce, mse = torch.ones(4, requires_grad=True), torch.ones(2, requires_grad=True)
    unified_loss(ce, mse, ce_weight=0.25, mse_weight=1.0)[0].backward()
    assert ce.grad.tolist() == pytest.approx([0.0625] * 4)
    assert mse.grad.tolist() == pytest.approx([0.5] * 2)
