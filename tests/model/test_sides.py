"""Adapters switched off for a while, and nothing else."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from unichar.model.sides import inner, without_adapters


@pytest.fixture
def side():
    torch.manual_seed(0)
    made = get_peft_model(
        nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2)), LoraConfig(r=2, target_modules=["0", "1"])
    )
    for parameter in made.parameters():
        parameter.data.add_(0.5)
    return made


def test_within_it_only_the_base_answers(side):
    x = torch.ones(1, 3)
    full = side(x)
    with without_adapters(side):
        bare = side(x)
        with without_adapters(side), side.disable_adapter():
            assert torch.equal(side(x), bare)
    assert torch.equal(side(x), full)
    assert not torch.allclose(bare, full)


def test_what_trains_and_what_is_frozen_stays_so(side):
    next(parameter for parameter in side.parameters() if parameter.requires_grad).requires_grad_(False)
    before = [parameter.requires_grad for parameter in side.parameters()]
    with pytest.raises(RuntimeError), without_adapters(side):
        raise RuntimeError
    assert [parameter.requires_grad for parameter in side.parameters()] == before
    assert torch.equal(side(torch.ones(1, 3)), side(torch.ones(1, 3)))


def test_a_side_without_adapters_is_itself(side):
    plain = nn.Linear(2, 2)
    with without_adapters(plain):
        assert inner(plain) is plain
    assert isinstance(inner(side), nn.Sequential)
