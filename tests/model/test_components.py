"""Adapters switched off for a while, and nothing else."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from unichar.model.components import unwrapped, without_adapters


@pytest.fixture
def component():
    torch.manual_seed(0)
    made = get_peft_model(
        nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2)), LoraConfig(r=2, target_modules=["0", "1"])
    )
    for parameter in made.parameters():
        parameter.data.add_(0.5)
    return made


def test_within_it_only_the_base_answers(component):
    x = torch.ones(1, 3)
    full = component(x)
    with without_adapters(component):
        bare = component(x)
        with without_adapters(component), component.disable_adapter():
            assert torch.equal(component(x), bare)
    assert torch.equal(component(x), full)
    assert not torch.allclose(bare, full)


def test_what_trains_and_what_is_frozen_stays_so(component):
    next(parameter for parameter in component.parameters() if parameter.requires_grad).requires_grad_(False)
    before = [parameter.requires_grad for parameter in component.parameters()]
    with pytest.raises(RuntimeError), without_adapters(component):
        raise RuntimeError
    assert [parameter.requires_grad for parameter in component.parameters()] == before
    assert torch.equal(component(torch.ones(1, 3)), component(torch.ones(1, 3)))


def test_a_side_without_adapters_is_itself(component):
    plain = nn.Linear(2, 2)
    with without_adapters(plain):
        assert unwrapped(plain) is plain
    assert isinstance(unwrapped(component), nn.Sequential)
