"""Adapters compute in the type of their activations; what is stored, and learns, is fp32."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import Linear
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from unichar.model.adapter_layer import AdapterLinear, with_adapter

ADAPTERS = {(4, 24), (4, 32), (24, 4), (32, 4)}
"""Shapes of A and B of the two layers below, as stored or transposed."""


class Matmuls(TorchDispatchMode):
    """Records the types of all matrix products with an adapter's weight in them."""

    def __init__(self) -> None:
        super().__init__()
        self.dtypes: list[set[torch.dtype]] = []
        self.casts: list[torch.Size] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        tensors = [arg for arg in args if isinstance(arg, torch.Tensor)]
        if "mm" in func.name() and any(tuple(tensor.shape) in ADAPTERS for tensor in tensors):
            self.dtypes.append({tensor.dtype for tensor in tensors})
        if func.name() == "aten::_to_copy":
            self.casts.append(tensors[0].shape)
        return func(*args, **(kwargs or {}))


def make(dtype: torch.dtype, *, own: bool = True) -> nn.Module:
    """Two layers with trained adapters over frozen weights of a type; `own` or peft's."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(24, 32), nn.Linear(32, 24, bias=False)).requires_grad_(False)
    for parameter in net.parameters():
        parameter.data = parameter.bfloat16().float()  # the same weights in both types
    config = LoraConfig(r=4, lora_alpha=12, target_modules=["0", "1"])
    if own:
        config._register_custom_module({nn.Linear: AdapterLinear})
    made = get_peft_model(net.to(dtype), config)

    torch.manual_seed(1)
    for name, parameter in made.named_parameters():
        if "lora_" in name:
            assert parameter.dtype == torch.float32
            parameter.data = 0.3 * torch.randn_like(parameter)
    return made


def gradients(net: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    net(x).float().square().sum().backward()
    return [parameter.grad for parameter in net.parameters() if parameter.requires_grad]


def test_in_bf16_no_activation_is_cast_and_products_are_bf16():
    net, x = make(torch.bfloat16), torch.randn(2, 5, 24).bfloat16().requires_grad_()
    with Matmuls() as seen:
        loss = net(x).square().sum()
    assert len(seen.dtypes) == 4 and set.union(*seen.dtypes) == {torch.bfloat16}
    assert sorted(seen.casts) == sorted([(4, 24), (32, 4), (4, 32), (24, 4)])  # A and B, and nothing else

    with Matmuls() as seen:
        loss.backward()
    assert set.union(*seen.dtypes) == {torch.bfloat16}
    assert all(tuple(shape) in ADAPTERS for shape in seen.casts)


def test_peft_s_own_layer_would_be_seen_computing_in_fp32():
    with Matmuls() as seen:
        make(torch.bfloat16, own=False)(torch.randn(2, 5, 24).bfloat16())
    assert set.union(*seen.dtypes) == {torch.float32} and (2, 5, 24) in seen.casts


def test_bf16_gradients_are_fp32_s_but_for_rounding():
    x = torch.randn(3, 7, 24).bfloat16()
    exact = gradients(make(torch.float32), x.float())
    found, peft = (gradients(make(torch.bfloat16, own=own), x) for own in (True, False))
    assert len(found) == 4
    for truth, ours, theirs in zip(exact, found, peft, strict=True):
        assert ours.dtype == torch.float32
        error, usual = ((each - truth).norm() / truth.norm() for each in (ours, theirs))
        assert error < 2**-7 and error < 2 * usual + 2**-9


@pytest.mark.parametrize("shape", [(24,), (5, 24), (2, 5, 24), (2, 1, 5, 24)])
def test_in_fp32_the_bits_are_peft_s(shape):
    x = torch.randn(shape)
    assert torch.equal(make(torch.float32)(x), make(torch.float32, own=False)(x))


@pytest.mark.parametrize("shape", [(5, 24), (2, 5, 24), (2, 1, 5, 24)])
def test_in_bf16_answers_are_fp32_s_but_for_rounding(shape):
    x = torch.randn(shape).bfloat16()
    exact = make(torch.float32)(x.float())
    ours, theirs = make(torch.bfloat16)(x), make(torch.bfloat16, own=False)(x)
    assert ours.shape == theirs.shape and ours.dtype == torch.bfloat16
    error, usual = ((each.float() - exact).norm() / exact.norm() for each in (ours, theirs))

    # Adapters outweigh the base here, and their rounded weights are what peft would not have.
    assert 0 < error < 2**-7 and error < 2.5 * usual


def test_an_input_that_is_not_contiguous_is_no_other():
    net, x = make(torch.bfloat16), torch.randn(5, 3, 24).bfloat16().transpose(0, 1)
    assert torch.equal(net(x), net(x.contiguous()))


def test_under_autocast_the_bits_are_peft_s():
    ours, theirs = make(torch.float32), make(torch.float32, own=False)
    for x in (torch.randn(5, 24), torch.randn(5, 24).bfloat16()):
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(ours(x), theirs(x))
        for net in (ours, theirs):
            net.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            pairs = list(zip(gradients(ours, x), gradients(theirs, x), strict=True))
        assert all(torch.equal(one, other) for one, other in pairs)


def test_steps_too_small_for_bf16_add_up():
    """A hundred steps of 1e-5: bf16 weights above 0.05 can not change by less than 2e-4."""
    net, x = make(torch.bfloat16), torch.randn(5, 24).bfloat16()
    parameters = [parameter for parameter in net.parameters() if parameter.requires_grad]
    before = [parameter.detach().clone() for parameter in parameters]
    rounded = [parameter.detach().bfloat16().requires_grad_() for parameter in parameters]
    optimizer = torch.optim.AdamW([*parameters, *rounded], lr=1e-5, weight_decay=0)

    for _ in range(100):
        optimizer.zero_grad()
        for gradient, other in zip(gradients(net, x), rounded, strict=True):
            other.grad = gradient.bfloat16()
        optimizer.step()

    for old, new, other in zip(before, parameters, rounded, strict=True):
        large = old.abs() > 0.05
        assert torch.equal(other.detach()[large], old.bfloat16()[large])
        assert 5e-4 < (new.detach() - old).abs()[large].median() < 1.1e-3


def test_a_merged_weight_is_the_sum_in_fp32_rounded_once():
    net = make(torch.bfloat16)
    layer = net.base_model.model[0]
    assert isinstance(layer, AdapterLinear) and isinstance(layer, Linear)
    exact = layer.base_layer.weight.float() + layer.get_delta_weight("default")
    assert layer.merged_weight().dtype == torch.bfloat16
    assert torch.equal(layer.merged_weight(), exact.bfloat16())
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    assert torch.equal(with_adapter(layer.base_layer.weight, a, b, scaling=3.0), exact.bfloat16())


def test_shapes_can_be_followed_without_numbers():
    """Memory of real sizes is counted on the meta device, which autocast does not know."""
    with torch.device("meta"):
        y = make(torch.bfloat16)(torch.empty(2, 5, 24, dtype=torch.bfloat16))
    assert (y.shape, y.dtype) == ((2, 5, 24), torch.bfloat16)
