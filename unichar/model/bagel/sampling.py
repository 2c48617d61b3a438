"""Sampling pictures as BAGEL does: Euler steps, guidance by what is left out, a bound on how long guidance makes a velocity.

Letters: B pictures, N tokens, C = 64 numbers of a token.
Departs from the published code: norms are taken for each picture, so that several may be drawn at once; the code's own norm runs
over whatever is in the batch, and is right for one picture only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from unichar.model.flow import time_grid

Velocity = Callable[[Tensor, Tensor], Tensor]
"""(tokens [B, N, C], t [B]) -> velocities [B, N, C]."""


@dataclass(frozen=True, kw_only=True)
class Guidance:
    """How far a velocity is pushed away from what the model would draw with something left out."""

    text: float = 4.0
    """Away from the picture without the last text; 1 for not at all. Without it nothing is pushed."""
    image: float = 1.0
    """Away from the picture without the given pictures; 1 for not at all."""
    interval: tuple[float, float] = (0.4, 1.0)
    """Times at which it acts: above the first, up to the second."""
    renorm: Literal["global", "channel", "text_channel"] = "global"
    """What may not grow: the whole picture's velocity, each token's, or each token's after the text alone."""
    renorm_min: float = 0.0
    """Least factor by which a grown velocity is shortened; 1 lets it grow."""

    def __post_init__(self) -> None:
        if self.renorm not in ("global", "channel", "text_channel"):
            raise ValueError(f"Guidance.renorm is {self.renorm!r}; expected global, channel or text_channel")
        if not 0 <= self.renorm_min <= 1:
            raise ValueError(f"Guidance.renorm_min is {self.renorm_min}; expected 0 to 1")

    def acts(self, t: float) -> bool:
        """Whether velocities at this time are pushed at all."""
        return self.text > 1 and self.interval[0] < t <= self.interval[1]


def guided(v: Tensor, without_text: Tensor, without_image: Tensor | None, guidance: Guidance) -> Tensor:
    """The velocity to follow; `without_image` only where images are guided."""
    pushed = without_text + guidance.text * (v - without_text)
    if guidance.renorm == "text_channel":
        pushed = _bounded(pushed, v, (-1,), guidance.renorm_min)
    if without_image is not None:
        pushed = without_image + guidance.image * (pushed - without_image)
    if guidance.renorm == "text_channel":
        return pushed
    return _bounded(pushed, v, (-1,) if guidance.renorm == "channel" else (-2, -1), guidance.renorm_min)


def _bounded(pushed: Tensor, v: Tensor, dims: tuple[int, ...], least: float) -> Tensor:
    before, after = (torch.linalg.vector_norm(each, dim=dims, keepdim=True) for each in (v, pushed))
    return pushed * (before / (after + 1e-8)).clamp(min=least, max=1.0)


@torch.no_grad()
def sample(
    noise: Tensor,
    velocity: Velocity,
    *,
    steps: int,
    shift: float,
    guidance: Guidance,
    without_text: Velocity,
    without_image: Velocity | None = None,
) -> Tensor:
    """Tokens [B, N, C] from noise.

    Args:
        steps: Euler steps; the published 50 time points are 49 steps.
        shift: Timestep shift; 3 in the published code.
        without_text: Asked only where guidance acts.
        without_image: Likewise, and only for `guidance.image` above 1.
    """
    x, grid = noise, time_grid(steps, shift).tolist()
    for t, after in pairwise(grid):
        times = torch.full((len(x),), t)
        v = velocity(x, times)
        if guidance.acts(t):
            pictured = without_image(x, times) if without_image is not None and guidance.image > 1 else None
            v = guided(v, without_text(x, times), pictured, guidance)
        x = x - v * (t - after)
    return x
