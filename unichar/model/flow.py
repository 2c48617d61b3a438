"""Flow matching: noising, training times, the loss and the samplers.

Conventions of BAGEL: x_t = (1 - t) x0 + t eps, v = eps - x0; t = 1 is pure noise.

Shape letters: B pictures, C latent channels, h/w latent cells, W stochastic steps of a window.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unichar.training.seeds import torch_rng

Velocity = Callable[[Tensor, Tensor], Tensor]
"""(x_t [B, C, h, w], t [B]) -> v [B, C, h, w]."""


def shift_time(t: Tensor, shift: float) -> Tensor:
    """Timestep shift t <- s t / (1 + (s - 1) t): s > 1 moves times toward high noise."""
    return shift * t / (1 + (shift - 1) * t)


def sample_times(count: int, shift: float, generator: torch.Generator) -> Tensor:
    """[count] training times: logit-normal, then shifted.

    Stratified, so that a batch covers the range evenly.
    """
    u = (torch.arange(count) + torch.rand(count, generator=generator)) / count

    # The inverse normal CDF is infinite at 0 and 1.
    u = u[torch.randperm(count, generator=generator)].clamp(1e-4, 1 - 1e-4)
    return shift_time(torch.sigmoid(torch.special.ndtri(u)), shift)


def add_noise(x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """x_t = (1 - t) x0 + t noise, [B, C, h, w], for times t [B]."""
    t = t.view(-1, 1, 1, 1)  # [B, 1, 1, 1]
    return (1 - t) * x0 + t * noise


def flow_loss(velocity: Tensor, x0: Tensor, noise: Tensor) -> Tensor:
    """Mean squared error to v = eps - x0 per picture, [B]."""
    return (velocity - (noise - x0)).square().mean(dim=(1, 2, 3))


def time_grid(steps: int, shift: float) -> Tensor:
    """The sampler's times from 1 to 0, [steps + 1]."""
    return shift_time(torch.linspace(1, 0, steps + 1), shift)


def integrate(velocity: Velocity, noise: Tensor, *, steps: int, shift: float) -> Tensor:
    """Sample x0 [B, C, h, w] from noise: one Euler step, then second-order Adams-Bashforth, one velocity per
    step.

    Args:
        velocity: See `Velocity`; guidance is part of it.
        noise: x_1, [B, C, h, w].
        steps: Number of steps.
        shift: Timestep shift.
    """
    grid = time_grid(steps, shift)
    x, previous, previous_step = noise, None, 0.0

    for i in range(steps):
        dt = float(grid[i + 1] - grid[i])
        v = velocity(x, grid[i].expand(len(x)))

        if previous is None:
            x = x + dt * v
        else:
            ratio = dt / previous_step  # steps differ in length under a shift
            x = x + dt * ((1 + ratio / 2) * v - ratio / 2 * previous)
        previous, previous_step = v, dt
    return x


@dataclass(frozen=True, kw_only=True)
class SdeTrajectory:
    """W stochastic steps of each of B pictures: the inputs to their log-probabilities under any policy."""

    x: Tensor
    """[B, W, C, h, w] latents before a step."""
    next: Tensor
    """[B, W, C, h, w] latents after it."""
    t: Tensor
    """[B, W] times before a step."""
    dt: Tensor
    """[B, W] step lengths, negative."""
    s: Tensor
    """[B, W] noise of a step, see `sde_noise`."""
    log_prob: Tensor
    """[B, W] log-probabilities under the policy that sampled."""


def sde_noise(t: Tensor, first: float, level: float) -> Tensor:
    """s = level sqrt(t / (1 - t)) of Flow-GRPO's sampler.

    At t = 1 the denominator is zero, so the time `first` after the first step replaces t there.
    """
    return level * (t / (1 - torch.where(t >= 1, first, t))).sqrt()


def sde_mean(x: Tensor, v: Tensor, t: Tensor, dt: Tensor, s: Tensor) -> Tensor:
    """Mean of x after a stochastic step of length dt < 0 (Flow-GRPO); with s = 0 it is an Euler step.

    x and v are [B, C, h, w]; t, dt and s are [B].
    """
    t = t.view(-1, 1, 1, 1)  # [B, 1, 1, 1]
    dt = dt.view(-1, 1, 1, 1)
    s = s.view(-1, 1, 1, 1)

    drift = s.square() / (2 * t) * dt
    return x * (1 + drift) + v * (dt + drift * (1 - t))


def sde_log_prob(x_next: Tensor, mean: Tensor, dt: Tensor, s: Tensor) -> Tensor:
    """[B] log-probability of a step, without the constants that cancel in a ratio.

    It is the *mean* over all latent values, not the sum, as in Flow-GRPO's code.
    """
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
    """Sample with noise in a window of the steps, by Euler steps outside it.

    Args:
        velocity: See `Velocity`; guidance is part of it.
        noise: x_1, [B, C, h, w].
        seeds: One per picture; its steps draw from it alone, so the result is batch-invariant.
        starts: [B] the first step of each picture's window.
        window: Number of stochastic steps.
        level: Amount of noise; 0.7 to 1.3 in practice.
        steps: Number of steps.
        shift: Timestep shift.

    Returns:
        x0 [B, C, h, w], and the steps inside the windows.
    """
    grid = time_grid(steps, shift)
    x, indices = noise, torch.arange(len(noise))
    latents = torch.zeros((2, len(x), window, *x.shape[1:]))  # before and after a step
    scalars = torch.zeros((4, len(x), window))  # t, dt, s, log-probability

    for i in range(steps):
        t, dt = grid[i].expand(len(x)), (grid[i + 1] - grid[i]).expand(len(x))
        inside = (starts <= i) & (i < starts + window)
        s = torch.where(inside, sde_noise(t, float(grid[1]), level), 0.0)

        mean = sde_mean(x, velocity(x, t), t, dt, s)
        after = mean.clone()
        for index in indices[inside].tolist():
            drawn = torch.randn(x.shape[1:], generator=torch_rng(seeds[index], "walk", i))
            after[index] += s[index] * (-dt[index]).sqrt() * drawn

        # Record the step of those pictures whose window it is in.
        slot = (indices[inside], i - starts[inside])
        for row, value in enumerate((x, after)):
            latents[row][slot] = value[inside]
        for row, value in enumerate((t, dt, s, sde_log_prob(after, mean, dt, s))):
            scalars[row][slot] = value[inside]
        x = after

    t, dt, s, log_prob = scalars
    return x, SdeTrajectory(x=latents[0], next=latents[1], t=t, dt=dt, s=s, log_prob=log_prob)
