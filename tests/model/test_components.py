"""Adapters switched off or merged for a while, and nothing else."""

import pytest
import torch
from factories_training import TESTS, launch
from peft import LoraConfig, get_peft_model
from torch import nn

from unichar.model.adapter_layer import AdapterLinear
from unichar.model.components import (
    merge_adapters,
    merged_adapters,
    share_switch,
    unwrapped,
    without_adapters,
)


@pytest.fixture
def component():
    torch.manual_seed(0)
    config = LoraConfig(r=2, target_modules=["0", "1"])
    config._register_custom_module({nn.Linear: AdapterLinear})
    made = get_peft_model(nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2)), config)
    for parameter in made.parameters():
        parameter.data.add_(0.5)
    share_switch(made)
    return made


def state(component: nn.Module) -> list[torch.Tensor]:
    return [tensor.clone() for tensor in component.state_dict().values()]


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_within_it_only_the_base_answers(component):
    x = torch.ones(1, 3)
    full = component(x)
    with without_adapters(component):
        bare = component(x)
        with without_adapters(component), component.disable_adapter():
            assert torch.equal(component(x), bare)
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


@pytest.mark.parametrize("context", [without_adapters, merged_adapters])
def test_a_component_without_adapters_is_itself(component, context):
    plain, x = nn.Linear(2, 2), torch.ones(2)
    expected = plain(x)
    with context(plain):
        assert unwrapped(plain) is plain and torch.equal(plain(x), expected)
    assert isinstance(unwrapped(component), nn.Sequential)


def test_switching_visits_no_module(component, monkeypatch):
    def visited(self):
        raise AssertionError("modules were visited")

    monkeypatch.setattr(nn.Module, "modules", visited)
    with without_adapters(component):
        pass


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_merged_adapters_answer_alike_and_the_weights_come_back_bit_for_bit(component, dtype):
    for layer in component.base_model.model:
        layer.base_layer.to(dtype)
    x, before = torch.ones(4, 3, dtype=dtype), state(component)
    full = component(x)
    with without_adapters(component):
        bare = component(x)

    with merged_adapters(component):
        merged = component(x)
        assert not same(state(component), before)
        with component.disable_adapter():  # peft would unmerge here, from weights it never merged
            assert torch.equal(component(x), merged)
    assert same(state(component), before) and torch.equal(component(x), full)
    assert torch.allclose(merged, full, rtol=1e-6 if dtype == torch.float32 else 0.01)
    assert not torch.allclose(merged, bare, rtol=0.1)


def test_the_weights_come_back_after_an_error_too(component, monkeypatch):
    before = state(component)
    with pytest.raises(RuntimeError), merged_adapters(component):
        raise RuntimeError
    assert same(state(component), before)

    def full(self):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(type(component.base_model.model[1]), "merged_weight", full)
    with pytest.raises(torch.OutOfMemoryError), merged_adapters(component):
        pass
    assert same(state(component), before)


def test_what_would_answer_from_merged_weights_unnoticed_is_refused(component):
    with merged_adapters(component):
        with pytest.raises(AssertionError, match="hold the adapters now"), without_adapters(component):
            pass
        with pytest.raises(AssertionError, match="merged already"), merged_adapters(component):
            pass
    with (
        without_adapters(component),
        pytest.raises(AssertionError, match="disabled"),
        merged_adapters(component),
    ):
        pass


def test_weights_that_can_not_hold_the_sum_are_not_merged(component):
    """Quantised weights are packed integers; the adapters stay beside them."""
    for layer in component.base_model.model:
        layer.base_layer.weight = nn.Parameter(torch.zeros(6, 1, dtype=torch.uint8), requires_grad=False)
    before = state(component)
    with merged_adapters(component):
        assert same(state(component), before)
        assert not component.base_model.model[0].switch.is_off


def test_merged_for_good_it_answers_as_in_the_context(component):
    x, before = torch.ones(4, 3), state(component)
    with merged_adapters(component):
        merged = component(x)
    merge_adapters(component)
    assert torch.equal(component(x), merged) and not same(state(component), before)
    with pytest.raises(AssertionError, match="hold the adapters now"), without_adapters(component):
        pass


SHARDED = """
import torch
from factories_bagel import tiny_model
from factories_model import disturb

from unichar.model.components import merged_adapters
from unichar.model.lora import LoraSettings, add_adapters, blocks
from unichar.training.ranks import init_process_group, rank, shard, whole


def made():
    bagel = tiny_model().bfloat16()
    add_adapters(bagel, und=LoraSettings(rank=2), gen=LoraSettings(rank=3), seed=0)
    disturb(bagel, by=0.1)
    return bagel


def weights(bagel):
    return [whole(parameter.detach()).clone() for parameter in bagel.gen.parameters()]


init_process_group()
alone, split = made(), made()
shard(blocks(split))
before = weights(split)
for name, parameter in split.gen.named_parameters():
    assert parameter.dtype == (torch.float32 if "lora_" in name else torch.bfloat16)
with merged_adapters(alone.gen), merged_adapters(split.gen):
    merged = weights(split)
    assert all(torch.equal(one, other) for one, other in zip(merged, weights(alone), strict=True))
assert not all(torch.equal(one, other) for one, other in zip(merged, before, strict=True))
assert all(torch.equal(one, other) for one, other in zip(weights(split), before, strict=True))
if rank() == 0:
    print("alike", len(before))
"""


def test_sharded_weights_are_merged_and_come_back(tmp_path):
    script = tmp_path / "merge.py"
    script.write_text(f"import sys\nsys.path.insert(0, {str(TESTS)!r})\n{SHARDED}")
    done = launch(script)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith("alike")
