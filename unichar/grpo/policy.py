"""Policies as sets of adapter weights (trained, sampling, reference), and minibatches.

Adapters are small, so a policy is a copy of their tensors that is swapped in for a forward pass and swapped
out again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Minibatch:
    """N of the B pictures of a round, for one optimizer step.

    It is read in microbatches, each given by positions [M] in 0..N-1.
    """

    rollout: dict[str, Tensor]
    """What the algorithm recorded of all pictures of the round, [B, ...] each; `x0` are their latents."""
    indices: Tensor
    """[N] positions of these pictures among the B."""
    advantages: Tensor
    """[N] group-relative advantages."""

    def fraction(self, microbatch: Tensor) -> float:
        """M / N: the weight of a mean over the microbatch [M] in the mean over the minibatch."""
        return len(microbatch) / len(self.indices)

    def weighted(self, means: dict[str, Tensor], microbatch: Tensor) -> dict[str, Tensor]:
        """Means over the microbatch times its fraction, which sum to means over the minibatch; scalars in
        double precision, still on their device."""
        return {name: value.double() * self.fraction(microbatch) for name, value in means.items()}


class Snapshot(nn.Module):
    """A copy of parameters, kept as buffers so that it is saved with the training state."""

    def __init__(self, parameters: dict[str, Tensor]) -> None:
        super().__init__()

        # References to the parameters that are trained, not copies.
        self._live = parameters

        # Names of buffers may not contain dots.
        self._keys = {name: name.replace(".", "/") for name in parameters}

        # Buffers, which `state_dict` saves but no optimizer finds.
        for name, parameter in parameters.items():
            self.register_buffer(self._keys[name], parameter.detach().clone())

    @torch.no_grad()
    def ema_update(self, decay: float) -> None:
        """s <- decay * s + (1 - decay) * p for every live parameter p; decay 0 copies."""
        # lerp_(p, w) = s + w (p - s), in place, so the buffers stay those of the training state.
        for name, parameter in self._live.items():
            self.get_buffer(self._keys[name]).lerp_(parameter, 1 - decay)

    @torch.no_grad()
    def restore(self) -> None:
        """Copy this snapshot's values into the live parameters."""
        for name, parameter in self._live.items():
            parameter.copy_(self.get_buffer(self._keys[name]))

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """Context in which the live parameters hold this snapshot's values and gradients are off.

        Afterwards, or after an error, the live values are back.
        """
        # A copy of the live values: swapping is in place, so that the model needs no second set of modules.
        live = {name: parameter.detach().clone() for name, parameter in self._live.items()}

        # Gradients are off: a graph through swapped values would be wrong after they are swapped back.
        with torch.no_grad():
            try:
                self.restore()
                yield
            finally:
                for name, parameter in self._live.items():
                    parameter.copy_(live[name])
