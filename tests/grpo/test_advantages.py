"""Group-relative advantages, normalized over the round or over each group."""

import pytest
import torch

from unichar.grpo.advantages import group_advantages, groups_with_variance, optimality
from unichar.training.seeds import torch_rng

REWARDS = torch.randn(5, 8, generator=torch_rng(0, "rewards")) + torch.arange(5.0)[:, None]


def test_every_group_has_mean_zero_and_the_round_unit_spread():
    advantages = group_advantages(REWARDS, clip=100.0)
    assert advantages.shape == (5, 8)
    assert torch.allclose(advantages.mean(dim=1), torch.zeros(5), atol=1e-5)
    assert float(advantages.std(correction=0)) == pytest.approx(1, abs=1e-3)


def test_advantages_do_not_depend_on_how_easy_a_prompt_is():
    assert torch.allclose(
        group_advantages(REWARDS + torch.tensor([[0.0], [9], [-4], [2], [1]]), clip=5),
        group_advantages(REWARDS, clip=5),
        atol=1e-4,
    )
    assert torch.equal(group_advantages(REWARDS, clip=100).argmax(dim=1), REWARDS.argmax(dim=1))


def test_equal_rewards_give_zero_advantages():
    assert not group_advantages(torch.full((3, 4), 0.7), clip=5).any()
    mixed = torch.stack([torch.full((4,), 0.9), torch.tensor([0.0, 1.0, 0.0, 1.0])])
    assert not group_advantages(mixed, clip=5)[0].any()


def test_noise_in_an_even_group_is_not_amplified():
    even, uneven = torch.tensor([0.5, 0.5001, 0.4999, 0.5]), torch.tensor([0.0, 1.0, 0.0, 1.0])
    assert group_advantages(torch.stack([even, uneven]), clip=5)[0].abs().max() < 0.01


def test_by_group_normalizes_by_the_std_of_each_prompt():
    advantages = group_advantages(
        REWARDS * torch.tensor([[1.0], [2], [3], [4], [5]]), clip=100, by_group=True
    )
    assert torch.allclose(advantages.std(dim=1, correction=0), torch.ones(5), atol=1e-3)
    assert torch.allclose(advantages, group_advantages(REWARDS, clip=100, by_group=True), atol=1e-3)


def test_groups_without_variance_or_with_nan_are_not_used():
    rewards = torch.tensor([[0.5, 0.5, 0.5], [0.5, 0.5001, 0.5], [0.4, 0.5, 0.6], [0.4, float("nan"), 0.6]])
    assert groups_with_variance(rewards, min_spread=1e-3).tolist() == [False, False, True, False]


def test_advantages_are_clipped():
    rewards = torch.zeros(1, 100)
    rewards[0, 0] = 50
    assert group_advantages(rewards, clip=5).max() == 5
    assert group_advantages(-rewards, clip=5).min() == -5


def test_optimality_lies_in_0_to_1():
    assert optimality(torch.tensor([-5.0, -2.5, 0.0, 2.5, 5.0]), clip=5).tolist() == pytest.approx(
        [0, 0.25, 0.5, 0.75, 1]
    )
    assert optimality(torch.tensor([-99.0, 99.0]), clip=5).tolist() == [0, 1]
    r = optimality(group_advantages(REWARDS, clip=5), clip=5)
    assert ((r >= 0) & (r <= 1)).all() and float(r.mean()) == pytest.approx(0.5, abs=1e-4)
