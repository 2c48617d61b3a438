"""Both objectives: DiffusionNFT on the forward process without likelihoods, Flow-GRPO on the steps of a stochastic sampler."""

import torch
from torch import Tensor

_DIMS = (1, 2, 3)


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
) -> tuple[Tensor, dict[str, float]]:
    """Scalar loss and its parts.

    Args:
        v, v_old, v_ref: [B, C, h, w] velocities of the policy that learns, the one that sampled, and the SFT model; none of the
            last if the distance to it does not count.
        x0, x_t: [B, C, h, w] the sampled latents, and the same noised to t [B].
        r: [B] optimality in [0, 1].
        beta: Distance of the implicit positive and negative policies from the old one.
        kl: Weight of the squared distance to the reference.
        scale: The advantage clip, by which the policy part is multiplied.

    Returns:
        `loss`, and `{"policy": ..., "kl": ...}`; without a reference no `kl`.
    """
    old = v_old.detach()
    positive = beta * v + (1 - beta) * old
    negative = (1 + beta) * old - beta * v
    policy = (
        r * _weighted_error(positive, x0, x_t, t) + (1 - r) * _weighted_error(negative, x0, x_t, t)
    ) / beta
    loss, numbers = scale * policy.mean(), {"policy": policy.mean().item()}
    if v_ref is not None:
        drift = (v - v_ref.detach()).square().mean(dim=_DIMS).mean()
        loss, numbers = loss + kl * drift, numbers | {"kl": drift.item()}
    return loss, numbers


def flow_grpo_loss(
    log_prob: Tensor, old_log_prob: Tensor, advantages: Tensor, *, clip_range: float
) -> tuple[Tensor, dict[str, float]]:
    """Scalar clipped policy loss and its parts, for one stochastic step of B pictures.

    Args:
        log_prob, old_log_prob: [B] log-probabilities of the step under the policy that learns and the one that took it.
        advantages: [B]
        clip_range: A ratio that has moved further than this from 1, in the direction it is pushed to, is pushed no more.

    Returns:
        `loss`, and `{"ratio_off": mean distance of ratios from 1, "clipped": share of ratios outside the range}`.
    """
    ratio = (log_prob - old_log_prob.detach()).exp()
    held = ratio.clamp(1 - clip_range, 1 + clip_range)
    loss = torch.maximum(-advantages * ratio, -advantages * held).mean()
    off = (ratio.detach() - 1).abs()
    return loss, {"ratio_off": off.mean().item(), "clipped": (off > clip_range).float().mean().item()}


def step_kl(mean: Tensor, mean_ref: Tensor, s: Tensor) -> Tensor:
    """[B] squared distance of a step's mean from the SFT model's, over 2 s^2 (the step length is left out, as in the paper)."""
    return (mean - mean_ref.detach()).square().mean(dim=_DIMS) / (2 * s.square())


def _weighted_error(v: Tensor, x0: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
    """[B] squared error of the predicted x0, divided by its own mean absolute error (no gradient through that weight)."""
    error = x_t - t.view(-1, 1, 1, 1) * v - x0
    with torch.no_grad():
        weight = error.double().abs().mean(dim=_DIMS).clamp(min=1e-5).float()
    return error.square().mean(dim=_DIMS) / weight
