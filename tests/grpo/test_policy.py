"""Policies are copies of weights, put in place and taken out without a trace."""

import pytest
import torch
from torch import nn

from unichar.grpo.policy import Snapshot
from unichar.model.lora import trainable


@pytest.fixture
def net():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    net[0].requires_grad_(False)
    return net


def shift(net, by):
    with torch.no_grad():
        for parameter in trainable(net).values():
            parameter.add_(by)


def test_the_old_weights_are_there_within_and_the_new_ones_after(net):
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


def test_the_new_weights_come_back_after_an_error_too(net):
    snapshot = Snapshot(trainable(net))
    shift(net, 1.0)
    after = net[1].weight.detach().clone()
    with pytest.raises(KeyboardInterrupt), snapshot.swapped():
        raise KeyboardInterrupt
    assert torch.equal(net[1].weight, after) and torch.is_grad_enabled()


def test_gradients_flow_through_live_weights_around_it(net):
    snapshot = Snapshot(trainable(net))
    shift(net, 1.0)
    with snapshot.swapped():
        net(torch.ones(1, 3))
    loss = net(torch.ones(1, 3)).sum()
    with snapshot.swapped():
        net(torch.ones(1, 3))
    loss.backward()
    assert net[1].weight.grad is not None


@pytest.mark.parametrize(("keep", "expected"), [(0.0, 1.0), (0.5, 0.5), (1.0, 0.0)])
def test_a_policy_follows_as_fast_as_it_is_told(net, keep, expected):
    start = net[1].bias.detach().clone()
    snapshot = Snapshot(trainable(net))
    shift(net, 1.0)
    snapshot.follow(keep)
    with snapshot.swapped():
        assert torch.allclose(net[1].bias, start + expected)


def test_a_policy_is_saved_with_the_state(net):
    snapshot = Snapshot(trainable(net))
    names = set(snapshot.state_dict())
    assert names == {"1/weight", "1/bias"} and not list(snapshot.parameters())
    shift(net, 1.0)
    other = Snapshot(trainable(net))
    other.load_state_dict(snapshot.state_dict())
    with other.swapped():
        assert torch.equal(net[1].weight, snapshot.state_dict()["1/weight"])
