"""The card that runs: its ceilings by the data sheet, and the share of them that `unichar plan` assumes."""

from dataclasses import dataclass

import torch

MFU = 0.35
"""What `unichar plan` assumes."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Ceilings of a device."""

    card: str
    peak: float
    """Dense bf16 FLOP/s."""
    bandwidth: float
    """Bytes per second of the card's memory."""
    memory: float
    """Bytes."""
    mfu: float = MFU


H100 = Plan(card="H100", peak=989e12, bandwidth=3.35e12, memory=80e9)
"""Predictions are made for it where no card is at hand."""
CARDS = (
    H100,
    Plan(card="H200", peak=989e12, bandwidth=4.8e12, memory=141e9),
    Plan(card="A100", peak=312e12, bandwidth=2.0e12, memory=80e9),
    Plan(card="L40S", peak=362e12, bandwidth=0.864e12, memory=48e9),
    Plan(card="RTX 4090", peak=165e12, bandwidth=1.008e12, memory=24e9),
    Plan(card="RTX 3090", peak=71e12, bandwidth=0.936e12, memory=24e9),
)
"""By their data sheets; the name is part of what CUDA calls the card."""
_CPU = Plan(card="two CPU cores", peak=0.9e12, bandwidth=20e9, memory=8e9)


def plan_of(device: torch.device) -> Plan:
    """Of a device; for a card that is not listed, the ceilings of an H100."""
    if device.type != "cuda":
        return _CPU

    about = torch.cuda.get_device_properties(device)
    found = [card for card in CARDS if card.card in about.name]
    ceilings = found[0] if found else H100
    return Plan(
        card=about.name,
        peak=ceilings.peak,
        bandwidth=ceilings.bandwidth,
        memory=float(about.total_memory),
    )
