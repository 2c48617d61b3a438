"""Losses of a step as plain numbers, read from the device once a step.

Each `item()` waits until a GPU has computed everything before it; several a pass leave it idle between
passes. So trainers add up losses where they are, in double precision, and read all of them at the end.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def add_scalar(sums: dict[str, Tensor], name: str, value: Tensor) -> None:
    """Add a scalar, without its graph, to the sum of this name, in double precision and on its device."""
    exact = value.detach().double()
    sums[name] = sums[name] + exact if name in sums else exact


def read_scalars(sums: dict[str, Tensor], names: Sequence[str]) -> list[float]:
    """The sums of these names as plain numbers, in one transfer; 0 for those that nothing was added to."""
    if not sums:
        return [0.0] * len(names)

    # A model's losses of texts may be on the CPU already, those of its pictures on a GPU.
    devices = [value.device for value in sums.values()]
    device = next((each for each in devices if each.type != "cpu"), devices[0])

    zero = torch.zeros((), dtype=torch.float64, device=device)
    return torch.stack([sums.get(name, zero).to(device) for name in names]).tolist()


def device_of(module: nn.Module) -> torch.device:
    """Where a module computes: what a loss needs is put there once, and stays."""
    return next(module.parameters()).device
