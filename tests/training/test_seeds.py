"""Seeds: the same names give the same numbers on every machine, other names give others."""

import torch

from unichar.training.seeds import derive, python_rng, torch_rng


def test_derived_seeds_are_written_in_stone():
    """They name the noise of released models: a change would draw other pictures for the same seed."""
    assert derive(0, "sft", 12) == 5680408507483636346
    assert derive(1, "sft", 12) == 8467840584528945445
    assert derive(0) == 3456079177858693020


def test_names_are_kept_apart():
    seeds = [
        derive(0, "a", 1),
        derive(0, "a", 2),
        derive(0, "b", 1),
        derive(1, "a", 1),
        derive(0, "a"),
        derive(0, "a1"),
    ]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_generators_of_equal_names_agree_and_leave_the_global_ones_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    assert python_rng(3, "x").random() == python_rng(3, "x").random() != python_rng(3, "y").random()
    first, again = (torch.rand(4, generator=torch_rng(3, "x", 1)) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, torch.rand(4, generator=torch_rng(3, "x", 2)))
    assert torch.equal(torch.rand(3), expected)
