"""The two objectives, as pure functions: DiffusionNFT's on the forward process, which needs no likelihoods,
and Flow-GRPO's on the steps of a stochastic sampler.
"""

import torch
from torch import Tensor

_DIMS = (1, 2, 3)
"""Channel, height and width of [B, C, h, w]: errors are means per picture."""


def nft_loss(
    v: Tensor,
    v_old: Tensor,
    v_ref: Tensor | None,
    *,
    x0: Tensor,
    x_t: Tensor,
    t: Tensor,
    r: Tensor,
    beta: float,
    kl: float,
    scale: float,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Scalar DiffusionNFT loss: errors of x0 as predicted by a positive and a negative implicit policy.

    Method: arXiv:2509.16117, section 4.

    Args:
        v: [B, C, h, w] velocities of the trained policy.
        v_old: [B, C, h, w] velocities of the sampling policy.
        v_ref: [B, C, h, w] velocities of the SFT model; None if the distance to it does not count.
        x0: [B, C, h, w] sampled latents.
        x_t: [B, C, h, w] the same, noised to t.
        t: [B] times in (0, 1].
        r: [B] optimality in [0, 1].
        beta: Distance of the implicit positive and negative policies from the sampling policy.
        kl: Weight of the squared distance to the reference.
        scale: The advantage clip, by which the policy term is multiplied.

    Returns:
        `loss`, and `{"policy": ..., "kl": ...}`, scalars without gradients; without a reference no `kl`.
    """
    # Implicit policies, mirrored at the sampling policy: the positive one beta of the way to the trained
    # policy, the negative one as far in the opposite direction.
    old = v_old.detach()  # [B, C, h, w]
    positive = beta * v + (1 - beta) * old
    negative = (1 + beta) * old - beta * v

    # A good picture (r near 1) should be explained by the positive policy, a bad one by the negative.
    positive_error = _weighted_error(positive, x0, x_t, t)  # [B]
    negative_error = _weighted_error(negative, x0, x_t, t)  # [B]

    # Divided by beta, since gradients are proportional to it.
    policy = (r * positive_error + (1 - r) * negative_error) / beta  # [B]
    loss, numbers = scale * policy.mean(), {"policy": policy.mean().detach()}

    # Distance of the velocities to the SFT model's, which keeps the policy from drifting.
    if v_ref is not None:
        distance = (v - v_ref.detach()).square().mean(dim=_DIMS).mean()
        loss, numbers = loss + kl * distance, numbers | {"kl": distance.detach()}

    return loss, numbers


def flow_grpo_loss(
    log_prob: Tensor, old_log_prob: Tensor, advantages: Tensor, *, clip_range: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """Scalar clipped policy loss of one stochastic step of B pictures (Flow-GRPO, arXiv:2505.05470).

    Args:
        log_prob: [B] log-probabilities of the step under the trained policy.
        old_log_prob: [B] the same under the policy that sampled it.
        advantages: [B] group-relative advantages.
        clip_range: Ratios further than this from 1, in the direction the advantage pushes, get no gradient.

    Returns:
        `loss`, and `{"ratio_off": mean distance of ratios from 1, "clipped": fraction outside the range}`,
        scalars without gradients.
    """
    # Likelihood ratio of the recorded step; 1 until the first optimizer step of the round is taken.
    ratio = (log_prob - old_log_prob.detach()).exp()  # [B]
    clipped = ratio.clamp(1 - clip_range, 1 + clip_range)

    # PPO's pessimistic choice of the two. Where the clipped term is larger, there is no gradient.
    loss = torch.maximum(-advantages * ratio, -advantages * clipped).mean()

    # For the curve only, without gradients.
    off = (ratio.detach() - 1).abs()
    return loss, {"ratio_off": off.mean(), "clipped": (off > clip_range).float().mean()}


def step_kl(mean: Tensor, mean_ref: Tensor, s: Tensor) -> Tensor:
    """[B] KL divergence of a stochastic step from the SFT model's: squared distance of the means over 2 s^2.

    The step length is left out, as in the paper's code. Means are [B, C, h, w], the noise scale s is [B].
    """
    return (mean - mean_ref.detach()).square().mean(dim=_DIMS) / (2 * s.square())


def _weighted_error(v: Tensor, x0: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
    """[B] squared error of the predicted x0, divided by its mean absolute error (without gradient)."""
    # x0 as the velocity predicts it: the straight path from x_t back to time 0.
    error = x_t - t.view(-1, 1, 1, 1) * v - x0  # [B, C, h, w]; t is [B, 1, 1, 1]
    with torch.no_grad():
        # In fp64, as in the published code; the bound keeps the divisor above 0.
        weight = error.double().abs().mean(dim=_DIMS).clamp(min=1e-5).float()  # [B]

    return error.square().mean(dim=_DIMS) / weight
