"""Flow matching: noising, timesteps, the loss and the sampler. Conventions of BAGEL: x_t = (1 - t) x0 + t eps, v = eps - x0."""

from collections.abc import Callable

import torch
from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]
"""(x_t [B, C, h, w], t [B]) -> v [B, C, h, w]."""


def shift_time(t: Tensor, shift: float) -> Tensor:
    """t <- s t / (1 + (s - 1) t): more of the range at high noise for s > 1."""
    return shift * t / (1 + (shift - 1) * t)


def sample_times(count: int, shift: float, generator: torch.Generator) -> Tensor:
    """[count] training times: logit-normal, then shifted. Stratified, so that a batch covers the range evenly."""
    u = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    u = u[torch.randperm(count, generator=generator)].clamp(1e-4, 1 - 1e-4)
    return shift_time(torch.sigmoid(torch.special.ndtri(u)), shift)


def add_noise(x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """x_t for t [B]."""
    t = t.view(-1, 1, 1, 1)
    return (1 - t) * x0 + t * noise


def flow_loss(velocity: Tensor, x0: Tensor, noise: Tensor) -> Tensor:
    """Mean squared error to v = eps - x0 of every picture, [B]."""
    return (velocity - (noise - x0)).square().mean(dim=(1, 2, 3))


def time_grid(steps: int, shift: float) -> Tensor:
    """The sampler's steps + 1 times from 1 to 0."""
    return shift_time(torch.linspace(1, 0, steps + 1), shift)


def integrate(velocity: Velocity, noise: Tensor, *, steps: int, shift: float) -> Tensor:
    """Heun-free second-order sampling from noise to x0: Euler first, then Adams-Bashforth, one velocity a step.

    Args:
        velocity: See `Velocity`; guidance belongs inside it.
        noise: x_1, [B, C, h, w].
    """
    grid = time_grid(steps, shift)
    x, previous, previous_step = noise, None, 0.0
    for i in range(steps):
        dt = float(grid[i + 1] - grid[i])
        v = velocity(x, grid[i].expand(len(x)))
        if previous is None:
            x = x + dt * v
        else:
            ratio = dt / previous_step
            x = x + dt * ((1 + ratio / 2) * v - ratio / 2 * previous)
        previous, previous_step = v, dt
    return x
