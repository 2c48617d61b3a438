"""A component of a unified model (`und` or `gen`), with or without adapters attached."""

from collections.abc import Iterator
from contextlib import contextmanager

from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn


def unwrapped(component: nn.Module) -> nn.Module:
    """The module inside the `PeftModel`, adapters still in its layers; the component itself where it has
    none.
    """
    return component.get_base_model() if isinstance(component, PeftModel) else component


@contextmanager
def without_adapters(component: nn.Module) -> Iterator[None]:
    """Disable the component's adapters within the context; does nothing where there are none.

    Sets peft's flag directly: `PeftModel.disable_adapter` also freezes and unfreezes every adapter, which
    takes a hundred times as long, and with activation checkpointing the context is entered once per layer.
    """
    layers = [module for module in component.modules() if isinstance(module, BaseTunerLayer)]
    before = [layer._disable_adapters for layer in layers]

    for layer in layers:
        layer._disable_adapters = True
    try:
        yield
    finally:
        for layer, was_disabled in zip(layers, before, strict=True):
            layer._disable_adapters = was_disabled
