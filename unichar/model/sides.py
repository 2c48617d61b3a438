"""A side of a model, text or pictures, with or without its adapters."""

from collections.abc import Iterator
from contextlib import contextmanager

from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn


def inner(side: nn.Module) -> nn.Module:
    """The module under the adapters, with them still in its layers; the side itself where it has none."""
    return side.get_base_model() if isinstance(side, PeftModel) else side


@contextmanager
def without_adapters(side: nn.Module) -> Iterator[None]:
    """Within it the side is as it was before it got adapters; nothing to do where it has none.

    peft's own `disable_adapter` also freezes and thaws every adapter, which takes a hundred times as long, and backward passes
    that run layers again come here once a layer; so this sets the flag alone.
    """
    layers = [module for module in side.modules() if isinstance(module, BaseTunerLayer)]
    before = [layer._disable_adapters for layer in layers]
    for layer in layers:
        layer._disable_adapters = True
    try:
        yield
    finally:
        for layer, was in zip(layers, before, strict=True):
            layer._disable_adapters = was
