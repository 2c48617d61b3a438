"""The card that runs: its ceilings by the data sheet, and the share of them that `unichar plan` assumes."""

from dataclasses import dataclass

import torch

from unichar.cost.cards import CARDS as PLANNED
from unichar.cost.cards import Device
from unichar.cost.estimate import MFU, TWO_CORES


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


_BANDWIDTHS = {
    "H100": 3.35e12,
    "H200": 4.8e12,
    "A100": 2.0e12,
    "L40S": 0.864e12,
    "RTX 4090": 1.008e12,
    "RTX 3090": 0.936e12,
}
"""Card -> bytes per second, which `unichar plan` does not need."""
_NOT_PLANNED = (
    Device(name="A100", peak=312e12, memory=80e9),
    Device(name="RTX 3090", peak=71e12, memory=24e9),
)
CARDS = tuple(
    Plan(card=card.name, peak=card.peak, bandwidth=_BANDWIDTHS[card.name], memory=card.memory)
    for card in (*PLANNED, *_NOT_PLANNED)
)
"""By their data sheets; the name is part of what CUDA calls the card."""
H100 = next(card for card in CARDS if card.card == "H100")
"""Predictions are made for it where no card is at hand."""
_CPU = Plan(card="two CPU cores", peak=TWO_CORES.peak, bandwidth=20e9, memory=TWO_CORES.memory)


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
