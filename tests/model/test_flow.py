"""Flow matching: x_t = (1 - t) x0 + t eps, v = eps - x0, time runs from 1 to 0."""

import pytest
import torch

from unichar.model.flow import (
    add_noise,
    flow_loss,
    integrate,
    integrate_sde,
    sample_times,
    sde_log_prob,
    sde_mean,
    sde_noise,
    shift_time,
    time_grid,
)
from unichar.training.seeds import torch_rng

SHAPE = (5, 2, 4, 4)


@pytest.fixture
def pair():
    """(x0, noise)"""
    return torch.randn(SHAPE, generator=torch_rng(0, "x0")), torch.randn(
        SHAPE, generator=torch_rng(0, "noise")
    )


def test_noise_is_all_at_one_and_nothing_at_zero(pair):
    x0, noise = pair
    t = torch.tensor([0.0, 1.0, 0.25, 0.5, 0.75])
    mixed = add_noise(x0, noise, t)
    assert torch.equal(mixed[0], x0[0]) and torch.equal(mixed[1], noise[1])
    assert torch.allclose(mixed[2], 0.75 * x0[2] + 0.25 * noise[2])


def test_the_loss_is_zero_for_the_right_velocity_and_a_mean_square_a_picture_otherwise(pair):
    x0, noise = pair
    assert torch.equal(flow_loss(noise - x0, x0, noise), torch.zeros(5))
    off = torch.arange(5.0).view(5, 1, 1, 1)
    assert torch.allclose(flow_loss(noise - x0 + off, x0, noise), torch.arange(5.0) ** 2, atol=1e-4)


@pytest.mark.parametrize("shift", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("steps", [1, 4, 10])
def test_the_grid_falls_from_one_to_zero(steps, shift):
    grid = time_grid(steps, shift)
    assert len(grid) == steps + 1
    assert (float(grid[0]), float(grid[-1])) == (1.0, 0.0)
    assert (grid.diff() < 0).all()


def test_a_shift_spends_more_steps_at_high_noise():
    assert shift_time(torch.tensor([0.0, 0.5, 1.0]), 3.0).tolist() == pytest.approx([0.0, 0.75, 1.0])
    assert (time_grid(8, 2.0)[1:-1] > time_grid(8, 1.0)[1:-1]).all()


def test_training_times_cover_the_range_evenly_and_repeat_for_a_seed():
    times = sample_times(64, 1.0, torch_rng(0, "t"))
    assert torch.equal(times, sample_times(64, 1.0, torch_rng(0, "t")))
    assert not torch.equal(times, sample_times(64, 1.0, torch_rng(1, "t")))
    assert ((times > 0) & (times < 1)).all()
    quantiles = torch.special.ndtr(torch.logit(times)).sort().values  # logit-normal: one time in each 64th
    assert torch.equal((quantiles * 64).floor(), torch.arange(64.0))
    assert not torch.equal(times, times.sort().values)  # and no picture of a batch always gets the noisy ones
    assert sample_times(64, 3.0, torch_rng(0, "t")).mean() > times.mean()


@pytest.mark.parametrize("shift", [1.0, 2.0])
@pytest.mark.parametrize("steps", [1, 2, 9])
def test_straight_lines_are_followed_exactly(pair, steps, shift):
    x0, noise = pair
    found = integrate(lambda x, t: noise - x0, noise, steps=steps, shift=shift)
    assert torch.allclose(found, x0, atol=1e-5)


def test_the_velocity_is_asked_once_a_step_from_noise_on(pair):
    x0, noise = pair
    asked = []

    def velocity(x, t):
        asked.append(t.tolist())
        return noise - x0

    integrate(velocity, noise, steps=4, shift=2.0)
    assert asked == [[float(t)] * 5 for t in time_grid(4, 2.0)[:-1]]


def test_twice_the_steps_quarter_the_error_on_a_curve():
    start = torch.ones((1, 1, 1, 1), dtype=torch.float64)

    def error(steps: int) -> float:
        found = integrate(
            lambda x, t: x, start, steps=steps, shift=1.0
        )  # dx/dt = x from 1 to 0: x(0) = 1 / e
        return abs(float(found) - 1 / torch.e)

    assert error(40) < 1e-3
    assert 3 < error(20) / error(40) < 5


# The stochastic sampler

WALK = {"window": 2, "level": 0.7, "steps": 8, "shift": 2.0}
SEEDS = [10, 11, 12, 13, 14]


def test_the_noise_of_a_step_is_the_published_one():
    """Values of the paper's settings: 14 steps, shift 3, level 1.3."""
    grid = time_grid(14, 3.0)
    s = sde_noise(grid[:-1], float(grid[1]), 1.3)
    assert s[:7].tolist() == pytest.approx([8.22, 8.12, 5.52, 4.31, 3.56, 3.02, 2.60], rel=2e-3)
    spread = s * (-grid.diff()).sqrt()
    assert spread[:7].tolist() == pytest.approx([1.30, 1.35, 0.97, 0.80, 0.70, 0.63, 0.58], rel=1e-2)
    mean = sde_mean(torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1), grid[1:2], grid.diff()[1:2], s[1:2])
    assert float(mean) == pytest.approx(0.066, abs=1e-3)


def test_a_step_without_noise_is_an_euler_step(pair):
    x, v = pair
    t, dt = torch.linspace(0.2, 1, 5), torch.full((5,), -0.1)
    assert torch.allclose(sde_mean(x, v, t, dt, torch.zeros(5)), x - 0.1 * v)


def test_a_log_prob_is_highest_at_the_mean_and_does_not_grow_with_the_picture():
    mean, dt, s = torch.zeros(1, 2, 4, 4), torch.tensor([-0.1]), torch.tensor([2.0])
    off = torch.full_like(mean, 0.5)
    assert sde_log_prob(mean, mean, dt, s).tolist() == [0.0]
    assert sde_log_prob(off, mean, dt, s).tolist() == pytest.approx([-(0.5**2) / (2 * 2.0**2 * 0.1)])
    large = torch.zeros(1, 2, 8, 8)
    assert torch.allclose(sde_log_prob(large + 0.5, large, dt, s), sde_log_prob(off, mean, dt, s))


def test_noise_stays_inside_each_pictures_window(pair):
    x0, noise = pair
    starts = torch.tensor([0, 1, 2, 3, 6])
    path = []

    def velocity(x, t):
        path.append(x)
        return noise - x0

    last, walk = integrate_sde(velocity, noise, seeds=SEEDS, starts=starts, **WALK)
    path.append(last)
    grid = time_grid(8, 2.0)
    for i in range(8):
        euler = path[i] + (grid[i + 1] - grid[i]) * (noise - x0)
        for b in range(5):
            assert torch.allclose(path[i + 1][b], euler[b], atol=1e-5) != (
                int(starts[b]) <= i < int(starts[b]) + 2
            ), (i, b)
    for b, start in enumerate(starts.tolist()):
        for w in range(2):
            assert torch.equal(walk.x[b, w], path[start + w][b]) and torch.equal(
                walk.next[b, w], path[start + w + 1][b]
            )
            assert walk.t[b, w] == grid[start + w] and walk.dt[b, w] == grid[start + w + 1] - grid[start + w]
    assert (walk.s > 0).all() and walk.log_prob.isfinite().all()


def test_the_walk_is_as_likely_as_it_says(pair):
    x0, noise = pair
    _, walk = integrate_sde(
        lambda x, t: noise - x0, noise, seeds=SEEDS, starts=torch.zeros(5, dtype=torch.int64), **WALK
    )
    for w in range(2):
        mean = sde_mean(walk.x[:, w], noise - x0, walk.t[:, w], walk.dt[:, w], walk.s[:, w])
        assert torch.allclose(
            sde_log_prob(walk.next[:, w], mean, walk.dt[:, w], walk.s[:, w]), walk.log_prob[:, w], atol=1e-6
        )
    assert float(walk.log_prob.mean()) == pytest.approx(-0.5, abs=0.15)  # of a standard normal's mean square


def test_sde_sampling_is_batch_invariant(pair):
    _, noise = pair
    starts = torch.tensor([0, 1, 2, 3, 4])
    together, walk = integrate_sde(lambda x, t: 0.5 * x, noise, seeds=SEEDS, starts=starts, **WALK)
    for b in range(5):
        alone, own = integrate_sde(
            lambda x, t: 0.5 * x, noise[b : b + 1], seeds=SEEDS[b : b + 1], starts=starts[b : b + 1], **WALK
        )
        assert torch.allclose(alone[0], together[b], atol=1e-5) and torch.allclose(
            own.next[0], walk.next[b], atol=1e-5
        )
    other, _ = integrate_sde(lambda x, t: 0.5 * x, noise, seeds=[0] * 5, starts=starts, **WALK)
    assert not torch.allclose(other, together)


def test_the_stochastic_sampler_draws_the_same_distribution():
    """Noise that is put in is taken out again by the drift: many walks of a normal distribution keep its
    spread.
    """
    generator = torch_rng(0, "spread")
    data, noise = 0.5, torch.randn((4000, 1, 1, 1), generator=generator)

    def velocity(x, t):  # of x0 ~ N(0, data^2): E[eps - x0 | x_t]
        t = t.view(-1, 1, 1, 1)
        return x * (t - (1 - t) * data**2) / ((1 - t) ** 2 * data**2 + t**2)

    settings = {"window": 20, "level": 0.5, "steps": 60, "shift": 1.0}
    found, _ = integrate_sde(
        velocity, noise, seeds=list(range(4000)), starts=torch.full((4000,), 10), **settings
    )
    assert float(found.std()) == pytest.approx(data, rel=0.08)
