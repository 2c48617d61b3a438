"""Policies are copies of weights, swapped in and out without a trace."""

import pytest
import torch
from torch import nn

from unichar.grpo.policy import Minibatch, Snapshot
from unichar.model.lora import trainable


@pytest.fixture
def net():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    net[0].requires_grad_(False)
    return net


def test_means_over_microbatches_sum_to_the_mean_over_the_minibatch():
    values = torch.tensor([1.0, 2.0, 6.0])
    minibatch = Minibatch(rollout={}, indices=torch.tensor([4, 5, 7]), advantages=torch.zeros(3))

    total = 0.0
    for microbatch in (torch.tensor([0, 2]), torch.tensor([1])):
        means = {"loss": values[microbatch].mean()}
        total += minibatch.weighted(means, microbatch)["loss"]
    assert float(total) == pytest.approx(3.0)


def shift(net, by):
    with torch.no_grad():
        for parameter in trainable(net).values():
            parameter.add_(by)


def test_swapped_weights_are_live_within_and_restored_after(net):
    x = torch.ones(1, 3)
    before = net(x).detach()
    snapshot = Snapshot(trainable(net))
    shift(net, 1.0)
    after = net(x).detach()
    kept = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}
    with snapshot.swapped():
        assert torch.equal(net(x), before)
        assert not torch.is_grad_enabled()
    assert torch.is_grad_enabled()
    assert torch.equal(net(x), after)
    assert all(torch.equal(parameter, kept[name]) for name, parameter in net.named_parameters())


def test_live_weights_are_restored_after_an_error(net):
    snapshot = Snapshot(trainable(net))
    shift(net, 1.0)
    after = net[1].weight.detach().clone()
    with pytest.raises(KeyboardInterrupt), snapshot.swapped():
        raise KeyboardInterrupt
    assert torch.equal(net[1].weight, after) and torch.is_grad_enabled()


def test_gradients_flow_through_live_weights_around_a_swap(net):
    snapshot = Snapshot(trainable(net))
    shift(net, 1.0)
    with snapshot.swapped():
        net(torch.ones(1, 3))
    loss = net(torch.ones(1, 3)).sum()
    with snapshot.swapped():
        net(torch.ones(1, 3))
    loss.backward()
    assert net[1].weight.grad is not None


@pytest.mark.parametrize(("decay", "expected"), [(0.0, 1.0), (0.5, 0.5), (1.0, 0.0)])
def test_an_ema_update_keeps_the_share_given_by_its_decay(net, decay, expected):
    start = net[1].bias.detach().clone()
    snapshot = Snapshot(trainable(net))
    shift(net, 1.0)
    snapshot.ema_update(decay)
    with snapshot.swapped():
        assert torch.allclose(net[1].bias, start + expected)


def test_a_snapshot_is_saved_with_the_state(net):
    snapshot = Snapshot(trainable(net))
    names = set(snapshot.state_dict())
    assert names == {"1/weight", "1/bias"} and not list(snapshot.parameters())
    shift(net, 1.0)
    other = Snapshot(trainable(net))
    other.load_state_dict(snapshot.state_dict())
    with other.swapped():
        assert torch.equal(net[1].weight, snapshot.state_dict()["1/weight"])
