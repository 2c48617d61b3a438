"""Samples pictures as BAGEL does: Euler steps, classifier-free guidance, and a bound on the guided velocity's
norm.

Shape letters: B pictures, N tokens, C = 64 values of a token. Departs from the published code: norms are
taken per picture, so several pictures can be sampled at once; the published norm runs over the whole batch,
which is right for one picture only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from unichar.errors import UserError
from unichar.model.flow import time_grid

Velocity = Callable[[Tensor, float], Tensor]
"""(tokens [B, N, C], time of all of them) -> velocities [B, N, C]."""


@dataclass(frozen=True, kw_only=True)
class Guidance:
    """Classifier-free guidance with renormalization, as published for BAGEL."""

    text: float = 4.0
    """Guidance scale away from the velocity without the last text; at most 1 disables all guidance."""
    image: float = 1.0
    """Guidance scale away from the velocity without the given pictures; 1 is none."""
    interval: tuple[float, float] = (0.4, 1.0)
    """Guidance applies at times above the first and up to the second."""
    renorm: Literal["global", "channel", "text_channel"] = "global"
    """Whose norm must not grow: the whole picture's velocity, each token's, or each token's after text
    guidance."""
    renorm_min: float = 0.0
    """Smallest factor of the renormalization; 1 disables it."""

    def __post_init__(self) -> None:
        if self.renorm not in ("global", "channel", "text_channel"):
            raise UserError(f"Guidance.renorm is {self.renorm!r}; expected global, channel or text_channel")
        if not 0 <= self.renorm_min <= 1:
            raise UserError(f"Guidance.renorm_min is {self.renorm_min}; expected 0 to 1")

    def acts(self, t: float) -> bool:
        """Whether guidance applies at this time."""
        return self.text > 1 and self.interval[0] < t <= self.interval[1]


def guided(v: Tensor, without_text: Tensor, without_image: Tensor | None, guidance: Guidance) -> Tensor:
    """The guided velocity [B, N, C]; `without_image` is None where there is no image guidance."""
    pushed = without_text + guidance.text * (v - without_text)
    if guidance.renorm == "text_channel":
        pushed = _bounded(pushed, v, (-1,), guidance.renorm_min)
    if without_image is not None:
        pushed = without_image + guidance.image * (pushed - without_image)

    if guidance.renorm == "text_channel":
        return pushed
    return _bounded(pushed, v, (-1,) if guidance.renorm == "channel" else (-2, -1), guidance.renorm_min)


def _bounded(pushed: Tensor, v: Tensor, dims: tuple[int, ...], minimum: float) -> Tensor:
    """Scale `pushed` down to the norm of `v` over `dims`, by a factor of at least `minimum`."""
    before = torch.linalg.vector_norm(v, dim=dims, keepdim=True)
    after = torch.linalg.vector_norm(pushed, dim=dims, keepdim=True)
    return pushed * (before / (after + 1e-8)).clamp(min=minimum, max=1.0)


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
    """Sample tokens [B, N, C] from noise [B, N, C], on its device.

    Times are plain numbers, so nothing here waits for a GPU.

    Args:
        noise: x_1.
        velocity: With everything given.
        steps: Euler steps; the published 50 time points are 49 steps.
        shift: Timestep shift; 3 in the published code.
        guidance: Scales, interval and renormalization.
        without_text: Velocity without the last text; called only where guidance applies.
        without_image: Velocity without the given pictures; likewise, and only for `guidance.image` above 1.
    """
    x, grid = noise, time_grid(steps, shift).tolist()
    guides_image = without_image is not None and guidance.image > 1

    for t, after in pairwise(grid):
        v = velocity(x, t)
        if guidance.acts(t):
            v_without_image = without_image(x, t) if without_image and guides_image else None
            v = guided(v, without_text(x, t), v_without_image, guidance)
        x = x - v * (t - after)
    return x
