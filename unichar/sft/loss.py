"""The Unified-SFT objective: ce_weight x CE + mse_weight x MSE, each averaged over what it covers (method: 2.4)."""

import torch
from torch import Tensor


def unified_loss(ce_n: Tensor, mse_b: Tensor, *, ce_weight: float, mse_weight: float) -> tuple[Tensor, dict[str, float]]:
    """Scalar loss and its parts.

    Args:
        ce_n: [number of target tokens] cross-entropies in nats; empty when only pictures are trained.
        mse_b: [number of pictures] mean squared velocity errors; empty when only text is trained.

    Returns:
        Loss, and `{"ce": nats a token, "mse": ...}` without the one that is not trained.
    """
    loss, parts = torch.zeros(()), {}
    for name, errors, weight in (("ce", ce_n, ce_weight), ("mse", mse_b, mse_weight)):
        if len(errors):
            mean = errors.mean()
            loss, parts[name] = loss + weight * mean, mean.item()
    return loss, parts
