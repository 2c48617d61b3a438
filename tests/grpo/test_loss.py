"""The objectives: their published formulas, and that they raise the probability of rewarded pictures."""

import pytest
import torch

from unichar.grpo.loss import flow_grpo_loss, nft_loss, step_kl
from unichar.model.flow import add_noise, sde_log_prob, sde_mean
from unichar.training.seeds import torch_rng

SHAPE = (6, 2, 3, 3)


def normal(name: str) -> torch.Tensor:
    return torch.randn(SHAPE, generator=torch_rng(0, name))


@pytest.fixture
def batch():
    """All arguments of `nft_loss` but the trained velocity."""
    x0, t = normal("x0"), torch.linspace(0.1, 1.0, 6)
    return {
        "v_old": normal("old"),
        "v_ref": normal("ref"),
        "x0": x0,
        "x_t": add_noise(x0, normal("noise"), t),
        "t": t,
        "r": torch.linspace(0, 1, 6),
    }


@pytest.mark.parametrize(("beta", "kl", "scale"), [(1.0, 0.0, 5.0), (0.5, 0.01, 5.0), (0.1, 2.0, 1.0)])
def test_it_is_the_published_formula(batch, beta, kl, scale):
    v = normal("v")
    loss, numbers = nft_loss(v, **batch, beta=beta, kl=kl, scale=scale)
    policy = distance = 0.0
    for i in range(6):
        old, ref, t, r = batch["v_old"][i], batch["v_ref"][i], batch["t"][i], batch["r"][i]

        def error(velocity: torch.Tensor, i: int = i, t: torch.Tensor = t) -> torch.Tensor:
            difference = batch["x_t"][i] - t * velocity - batch["x0"][i]
            return (difference**2 / difference.abs().mean()).mean()

        positive, negative = beta * v[i] + (1 - beta) * old, (1 + beta) * old - beta * v[i]
        policy += (r * error(positive) / beta + (1 - r) * error(negative) / beta) / 6
        distance += ((v[i] - ref) ** 2).mean() / 6
    assert loss.item() == pytest.approx(float(scale * policy + kl * distance), rel=1e-4)
    expected = {"policy": float(policy), "kl": float(distance)}
    assert {name: number.item() for name, number in numbers.items()} == pytest.approx(expected, rel=1e-4)


def test_gradients_reach_the_trained_policy_only(batch):
    v, old, ref = (normal(name).requires_grad_() for name in ("v", "old", "ref"))
    nft_loss(v, **(batch | {"v_old": old, "v_ref": ref}), beta=1.0, kl=0.1, scale=5.0)[0].backward()
    assert v.grad is not None and old.grad is None and ref.grad is None


def test_average_pictures_have_no_gradient(batch):
    v = batch["v_old"].clone().requires_grad_()
    even = batch | {"r": torch.full((6,), 0.5)}
    nft_loss(v, **even, beta=1.0, kl=0.0, scale=5.0)[0].backward()
    assert v.grad.abs().max() < 1e-6


def test_a_perfect_prediction_does_not_divide_by_zero(batch):
    exact = (batch["x_t"] - batch["x0"]) / batch["t"].view(-1, 1, 1, 1)
    v = exact.clone().requires_grad_()
    loss, _ = nft_loss(v, **(batch | {"v_old": exact}), beta=1.0, kl=0.0, scale=5.0)
    loss.backward()
    assert loss.isfinite() and v.grad.isfinite().all()


def test_the_kl_term_pulls_toward_the_reference(batch):
    v = normal("v").requires_grad_()
    average = batch | {"r": torch.full((6,), 0.5), "v_old": v.detach()}
    loss, _ = nft_loss(v, **average, beta=1.0, kl=1.0, scale=5.0)
    loss.backward()
    moved = v - 0.1 * v.grad / v.grad.abs().max()
    assert (moved - batch["v_ref"]).norm() < (v - batch["v_ref"]).norm()


def test_a_one_parameter_model_learns_to_draw_what_is_rewarded():
    """The model draws one brightness from any noise; brighter is better, so it must rise each round."""
    brightness = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([brightness], lr=0.05)

    def velocity(x_t: torch.Tensor, t: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
        return (x_t - where) / t.view(-1, 1, 1, 1)  # predicts x0 = where

    seen = []
    for round_ in range(60):
        generator = torch_rng(0, "toy", round_)
        old = brightness.detach().clone()
        # What the policy draws, with its spread.
        x0 = old + 0.3 * torch.randn((16, 1, 1, 1), generator=generator)
        rewards = x0.flatten()
        r = ((rewards - rewards.mean()) / rewards.std() / 10 + 0.5).clamp(0, 1)
        t = torch.rand(16, generator=generator) * 0.8 + 0.2
        x_t = add_noise(x0, torch.randn(x0.shape, generator=generator), t)
        v = velocity(x_t, t, brightness)
        loss, _ = nft_loss(
            v,
            velocity(x_t, t, old),
            velocity(x_t, t, torch.zeros(1)),
            x0=x0,
            x_t=x_t,
            t=t,
            r=r,
            beta=1.0,
            kl=0.0,
            scale=5.0,
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(float(brightness.detach()))
    assert seen[-1] > seen[29] > seen[4] > 0


# Flow-GRPO


def test_a_policy_that_has_not_moved_has_the_gradient_of_the_advantages():
    old, advantages = torch.tensor([-0.5, -0.4, -0.6]), torch.tensor([1.0, -2.0, 0.5])
    new = old.clone().requires_grad_()
    loss, numbers = flow_grpo_loss(new, old, advantages, clip_range=1e-4)
    loss.backward()
    assert loss.item() == pytest.approx(float(-advantages.mean()))
    assert torch.allclose(new.grad, -advantages / 3)
    assert numbers == {"ratio_off": 0.0, "clipped": 0.0}


def test_ratios_outside_the_clip_range_get_no_gradient():
    old, advantages = torch.zeros(4), torch.tensor([1.0, 1.0, -1.0, -1.0])
    # Likelier, less likely, likelier, less likely than before.
    new = torch.tensor([0.1, -0.1, 0.1, -0.1], requires_grad=True)
    loss, numbers = flow_grpo_loss(new, old, advantages, clip_range=0.05)
    loss.backward()
    ratio = new.detach().exp()
    assert loss.item() == pytest.approx(
        float(torch.stack([-torch.tensor(1.05), -ratio[1], ratio[2], torch.tensor(0.95)]).mean())
    )
    assert new.grad.tolist() == pytest.approx([0, -float(ratio[1]) / 4, float(ratio[2]) / 4, 0])
    assert numbers["clipped"] == 1.0 and numbers["ratio_off"].item() == pytest.approx(
        float((ratio - 1).abs().mean())
    )


def test_the_kl_of_a_step_is_in_units_of_its_noise():
    mean = torch.zeros(2, 1, 2, 2, requires_grad=True)
    reference = torch.full((2, 1, 2, 2), 0.4, requires_grad=True)
    divergence = step_kl(mean, reference, torch.tensor([0.5, 2.0]))
    assert divergence.tolist() == pytest.approx([0.16 / (2 * 0.25), 0.16 / (2 * 4)])
    divergence.sum().backward()
    assert reference.grad is None and (mean.grad < 0).all()


def test_rewarded_sde_steps_become_likelier():
    """The model draws one brightness in one stochastic step; brighter is better, so its mean must rise."""
    brightness = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([brightness], lr=0.2)
    t, dt, s = torch.full((32,), 0.5), torch.full((32,), -0.5), torch.full((32,), 0.7)
    seen = []
    for round_ in range(20):
        noise = torch.randn((32, 1, 1, 1), generator=torch_rng(0, "toy", round_))
        x, old = noise, brightness.detach().clone()
        took = sde_mean(x, (x - old) / 0.5, t, dt, s) + 0.5 * torch.randn(
            (32, 1, 1, 1), generator=torch_rng(1, "toy", round_)
        )
        before = sde_log_prob(took, sde_mean(x, (x - old) / 0.5, t, dt, s), dt, s)
        advantages = ((took - took.mean()) / took.std()).flatten()
        after = sde_log_prob(took, sde_mean(x, (x - brightness) / 0.5, t, dt, s), dt, s)
        loss, _ = flow_grpo_loss(after, before, advantages, clip_range=0.2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(float(brightness.detach()))
    assert seen[-1] > seen[9] > 0
