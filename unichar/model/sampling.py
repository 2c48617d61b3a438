"""Samples tokens from logits."""

import torch
from torch import Tensor


def sample_token(logits: Tensor, temperature: float, generator: torch.Generator) -> int:
    """A token from logits [V]; the likeliest at temperature 0, without drawing from the generator."""
    if temperature <= 0:
        return int(logits.argmax())
    return int(torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator))
