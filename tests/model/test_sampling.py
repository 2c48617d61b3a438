"""Sampling of tokens."""

import pytest
import torch

from unichar.model.sampling import sample_token

LOGITS = torch.tensor([0.0, 3.0, 1.0])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_temperature_0_is_greedy_and_draws_nothing():
    used = generator()
    assert sample_token(LOGITS, 0.0, used) == 1
    assert torch.equal(used.get_state(), generator().get_state())


def test_tokens_follow_the_softmax():
    used = generator()
    draws = torch.tensor([sample_token(LOGITS, 2.0, used) for _ in range(3000)])
    shares = draws.bincount(minlength=3) / 3000
    assert shares.tolist() == pytest.approx((LOGITS / 2).softmax(-1).tolist(), abs=0.04)


def test_a_seed_decides_the_token():
    one, same = ([sample_token(LOGITS, 1.0, used) for _ in range(20)] for used in (generator(), generator()))
    assert one == same
