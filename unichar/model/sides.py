"""A side of a model, text or pictures, with or without its adapters."""

from collections.abc import Iterator
from contextlib import contextmanager

from peft import PeftModel
from torch import nn


def inner(side: nn.Module) -> nn.Module:
    """The module under the adapters, with them still in its layers; the side itself where it has none."""
    return side.get_base_model() if isinstance(side, PeftModel) else side


@contextmanager
def without_adapters(side: nn.Module) -> Iterator[None]:
    """Within it the side is as it was before it got adapters; nothing to do where it has none."""
    if not isinstance(side, PeftModel):
        yield
        return
    trains = [parameter.requires_grad for parameter in side.parameters()]
    try:
        with side.disable_adapter():
            yield
    finally:  # peft switches adapters on as trainable, also those that were frozen
        for parameter, was in zip(side.parameters(), trains, strict=True):
            parameter.requires_grad_(was)
