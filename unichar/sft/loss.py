"""The Unified-SFT objective: ce_weight x CE + mse_weight x MSE, each averaged over what it covers (method: 2.4)."""

from torch import Tensor


def unified_loss(
    ce_sum: Tensor, ce_tokens: int, mse_per_picture: Tensor, *, ce_weight: float, mse_weight: float
) -> tuple[Tensor, dict[str, float]]:
    """Scalar loss and its parts.

    Args:
        ce_sum: Summed cross-entropy over `ce_tokens` target tokens.
        mse_per_picture: [B] mean squared velocity errors.

    Returns:
        Loss, and `{"ce": nats a token, "mse": ...}`.
    """
    ce = ce_sum / ce_tokens
    mse = mse_per_picture.mean()
    return ce_weight * ce + mse_weight * mse, {"ce": ce.item(), "mse": mse.item()}
