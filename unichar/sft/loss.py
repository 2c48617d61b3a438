"""The Unified-SFT objective: ce_weight x CE + mse_weight x MSE, each averaged over what it covers (method: 2.4)."""

from torch import Tensor


def unified_loss(ce_n: Tensor, mse_b: Tensor, *, ce_weight: float, mse_weight: float) -> tuple[Tensor, dict[str, float]]:
    """Scalar loss and its parts.

    Args:
        ce_n: [number of target tokens] cross-entropies in nats.
        mse_b: [number of pictures] mean squared velocity errors.

    Returns:
        Loss, and `{"ce": nats a token, "mse": ...}`.
    """
    ce, mse = ce_n.mean(), mse_b.mean()
    return ce_weight * ce + mse_weight * mse, {"ce": ce.item(), "mse": mse.item()}
