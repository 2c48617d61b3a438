"""Flow matching: x_t = (1 - t) x0 + t eps, v = eps - x0, time runs from 1 to 0."""

import pytest
import torch

from unichar.learning.seeds import torch_rng
from unichar.model.flow import add_noise, flow_loss, integrate, sample_times, shift_time, time_grid

SHAPE = (5, 2, 4, 4)


@pytest.fixture
def pair():
    """(x0, noise)"""
    return torch.randn(SHAPE, generator=torch_rng(0, "x0")), torch.randn(SHAPE, generator=torch_rng(0, "noise"))


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
        found = integrate(lambda x, t: x, start, steps=steps, shift=1.0)  # dx/dt = x from 1 to 0: x(0) = 1 / e
        return abs(float(found) - 1 / torch.e)

    assert error(40) < 1e-3
    assert 3 < error(20) / error(40) < 5
