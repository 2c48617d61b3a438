"""A component of a unified model (`und` or `gen`), with or without adapters attached."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from peft import PeftModel
from torch import Tensor, nn

from unichar.model.adapter_layer import AdapterLinear, AdapterSwitch, local


def unwrapped(component: nn.Module) -> nn.Module:
    """The module inside the `PeftModel`, adapters still in its layers; the component itself where it has
    none.
    """
    return component.get_base_model() if isinstance(component, PeftModel) else component


def share_switch(component: nn.Module) -> None:
    """Give all adapters of a component one switch, which the component keeps as `adapter_switch`."""
    switch = AdapterSwitch()
    component.adapter_switch = switch  # type: ignore[assignment]
    for layer in _adapter_layers(component):
        layer.switch = switch


@contextmanager
def without_adapters(component: nn.Module) -> Iterator[None]:
    """Disable the component's adapters within the context; does nothing where there are none.

    Takes microseconds, so that layers recomputed in a backward pass may each enter it.
    """
    switch = _switch_of(component)
    if switch is None:
        yield
        return

    assert not switch.merged, "the base weights hold the adapters now"
    before, switch.enabled = switch.enabled, False
    try:
        yield
    finally:
        switch.enabled = before


@contextmanager
def merged_adapters(component: nn.Module) -> Iterator[None]:
    """Add the component's adapters to its weights within the context: a pass then costs what the base's does.

    For sampling: nothing can be trained inside. The sum is taken in fp32 and rounded to the type of the
    weights. Afterwards, or after an error, the weights have their old bits: they are copied beside the
    weights, 13 GB for one expert of BAGEL-7B-MoT in bf16. Does nothing where there are no adapters, or where
    the weights are quantised and could not hold the sum. Collective where the weights are sharded.
    """
    copies: list[tuple[Tensor, Tensor]] = []
    try:
        _merge(component, copies)
        yield
    finally:
        for weight, copy in copies:
            weight.copy_(copy)
        if copies:
            component.adapter_switch.merged = False  # type: ignore[union-attr]


def has_room_for_copies(model: nn.Module) -> bool:
    """Whether a model's device has memory for `merged_adapters`: a CPU, or a GPU of twice the model's size.

    The answer depends on the card and not on what else lies there, so that a resumed run rounds alike.
    """
    device = next(model.parameters()).device
    size = sum(parameter.nbytes for parameter in model.parameters())
    return device.type != "cuda" or torch.cuda.get_device_properties(device).total_memory >= 2 * size


def merge_adapters(component: nn.Module) -> None:
    """Add the component's adapters to its weights for good, without a copy; otherwise like `merged_adapters`.

    Afterwards the adapters can not be disabled any more.
    """
    _merge(component)


def _merge(component: nn.Module, copies: list[tuple[Tensor, Tensor]] | None = None) -> None:
    """Replace weights by their sums with the adapters, collecting (weight, copy of its old value)."""
    switch = _switch_of(component)
    layers = _adapter_layers(component)
    if switch is None or not all(layer.base_weight.is_floating_point() for layer in layers):
        return

    assert switch.enabled and not switch.merged, "adapters are disabled or merged already"
    for layer in layers:
        weight = local(layer.base_weight.detach())
        if copies is not None:
            copies.append((weight, weight.clone()))
        weight.copy_(layer.merged_weight())
    switch.merged = True


def _switch_of(component: nn.Module) -> AdapterSwitch | None:
    switch = getattr(component, "adapter_switch", None)
    assert switch is None or isinstance(switch, AdapterSwitch)
    return switch


def _adapter_layers(component: nn.Module) -> list[AdapterLinear]:
    return [module for module in component.modules() if isinstance(module, AdapterLinear)]
