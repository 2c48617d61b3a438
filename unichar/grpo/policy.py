"""Policies as sets of adapter weights (the one that learns, the one that samples, the one to stay near), and what they learn.

Adapters are small, so a policy is a copy of their tensors, put in place for a forward pass and taken out again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Minibatch:
    """The N pictures of a round that have something to teach. They may be learned in parts, each the places of some of the N."""

    kept: dict[str, Tensor]
    """What the algorithm keeps of all pictures of the round, [B, ...] each; `x0` are their latents."""
    rows: Tensor
    """[N] which of the B these are."""
    advantages: Tensor
    """[N]"""

    def share(self, part: Tensor) -> float:
        """How much a mean over the part weighs in the mean over all."""
        return len(part) / len(self.rows)

    def portion(self, means: dict[str, float], part: Tensor) -> dict[str, float]:
        """What means over the part add to the means over all."""
        return {name: value * self.share(part) for name, value in means.items()}


class Snapshot(nn.Module):
    """A copy of parameters, kept as buffers so that it is saved with the training state."""

    def __init__(self, parameters: dict[str, Tensor]) -> None:
        super().__init__()
        self._live = parameters
        self._keys = {name: name.replace(".", "/") for name in parameters}
        for name, parameter in parameters.items():
            self.register_buffer(self._keys[name], parameter.detach().clone())

    @torch.no_grad()
    def follow(self, keep: float) -> None:
        """Move toward the live parameters: s <- keep s + (1 - keep) p."""
        for name, parameter in self._live.items():
            self.get_buffer(self._keys[name]).lerp_(parameter, 1 - keep)

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """Within it the live parameters hold this policy's values, whatever happens there; gradients are off."""
        kept = {name: parameter.detach().clone() for name, parameter in self._live.items()}
        with torch.no_grad():
            try:
                for name, parameter in self._live.items():
                    parameter.copy_(self.get_buffer(self._keys[name]))
                yield
            finally:
                for name, parameter in self._live.items():
                    parameter.copy_(kept[name])
