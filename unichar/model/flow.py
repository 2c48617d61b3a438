"""Flow matching: noising, timesteps, the loss and the samplers. Conventions of BAGEL: x_t = (1 - t) x0 + t eps, v = eps - x0."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unichar.training.seeds import torch_rng

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


@dataclass(frozen=True, kw_only=True)
class SdeTrajectory:
    """The stochastic steps of B pictures, W each: what it takes to ask any policy how likely it is to take the same steps."""

    x: Tensor
    """[B, W, C, h, w] latents before a step."""
    next: Tensor
    """[B, W, C, h, w] latents after it."""
    t: Tensor
    """[B, W] times before a step."""
    dt: Tensor
    """[B, W] step lengths, below 0."""
    s: Tensor
    """[B, W] noise of a step, see `sde_noise`."""
    log_prob: Tensor
    """[B, W] log-probabilities under the policy that walked."""


def sde_noise(t: Tensor, first: float, level: float) -> Tensor:
    """s = level sqrt(t / (1 - t)) of Flow-GRPO's sampler; at t = 1 the time `first` after one step stands in the denominator."""
    return level * (t / (1 - torch.where(t >= 1, first, t))).sqrt()


def sde_mean(x: Tensor, v: Tensor, t: Tensor, dt: Tensor, s: Tensor) -> Tensor:
    """Mean of x after a stochastic step of length dt < 0; all but x and v are [B]. With s = 0 it is an Euler step."""
    t, dt, s = (value.view(-1, 1, 1, 1) for value in (t, dt, s))
    pull = s.square() / (2 * t) * dt
    return x * (1 + pull) + v * (dt + pull * (1 - t))


def sde_log_prob(x_next: Tensor, mean: Tensor, dt: Tensor, s: Tensor) -> Tensor:
    """[B] log-probability of a step, a *mean* over all values (not a sum), without the constants that cancel in a ratio."""
    return -(x_next - mean).square().mean(dim=(1, 2, 3)) / (2 * s.square() * -dt)


@torch.no_grad()
def integrate_sde(
    velocity: Velocity,
    noise: Tensor,
    *,
    seeds: Sequence[int],
    starts: Tensor,
    window: int,
    level: float,
    steps: int,
    shift: float,
) -> tuple[Tensor, SdeTrajectory]:
    """Sampling with noise in a window of the steps, Euler outside of it.

    Args:
        velocity: See `Velocity`; guidance belongs inside it.
        noise: x_1, [B, C, h, w].
        seeds: One a picture; its steps draw from it alone, whatever else is in the batch.
        starts: [B] the first step of each picture's window.
        window: Steps with noise.
        level: How much noise; 0.7 to 1.3 in use.

    Returns:
        x0 [B, C, h, w], and the steps inside the windows.
    """
    grid = time_grid(steps, shift)
    x, rows = noise, torch.arange(len(noise))
    kept = torch.zeros((2, len(x), window, *x.shape[1:]))
    numbers = torch.zeros((4, len(x), window))
    for i in range(steps):
        t, dt = grid[i].expand(len(x)), (grid[i + 1] - grid[i]).expand(len(x))
        inside = (starts <= i) & (i < starts + window)
        s = torch.where(inside, sde_noise(t, float(grid[1]), level), 0.0)
        mean = sde_mean(x, velocity(x, t), t, dt, s)
        after = mean.clone()
        for row in rows[inside].tolist():
            drawn = torch.randn(x.shape[1:], generator=torch_rng(seeds[row], "walk", i))
            after[row] += s[row] * (-dt[row]).sqrt() * drawn
        place = (rows[inside], i - starts[inside])
        for slot, value in enumerate((x, after)):
            kept[slot][place] = value[inside]
        for slot, value in enumerate((t, dt, s, sde_log_prob(after, mean, dt, s))):
            numbers[slot][place] = value[inside]
        x = after
    t, dt, s, log_prob = numbers
    return x, SdeTrajectory(x=kept[0], next=kept[1], t=t, dt=dt, s=s, log_prob=log_prob)
