"""Merging adapters into a copy of a component."""

import torch
from factories_model import disturb
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn

from unichar.model.nano.merge import merged


def test_the_merged_copy_computes_what_the_adapters_did():
    torch.manual_seed(0)
    component = get_peft_model(
        nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2)), LoraConfig(r=2, target_modules=["0", "1"])
    )
    disturb(component, by=0.5)
    x = torch.randn(3, 4)
    own = merged(component)
    assert not isinstance(own, PeftModel) and isinstance(component, PeftModel)
    assert torch.allclose(own(x), component(x), atol=1e-6)
    assert not any("lora_" in name for name in own.state_dict())


def test_a_component_without_adapters_is_copied_in_fp32():
    plain = nn.Linear(2, 2).bfloat16()
    own = merged(plain)
    assert own is not plain and own.weight.dtype == torch.float32
    assert torch.equal(own.weight, plain.weight.float())
