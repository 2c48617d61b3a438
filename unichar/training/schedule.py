"""Learning-rate schedules as plain functions of the step."""

from torch.optim import Optimizer


def trapezoid(step: int, total: int, *, warmup: float = 0.02, decay: float = 0.3) -> float:
    """Factor in (0, 1]: linear warm-up over the first `warmup` share of `total`, flat, linear decay over the
    last `decay`.

    The decay ends at 1 / (decay steps), not at zero, so that the last step still learns.
    """
    up = max(1, round(total * warmup))
    down = max(1, round(total * decay))
    return min(1.0, (step + 1) / up, (total - step) / down)


def set_factor(optimizer: Optimizer, factor: float) -> None:
    """Set every group's learning rate to `factor` times the rate it was built with."""
    for group in optimizer.param_groups:
        group.setdefault("base_lr", group["lr"])
        group["lr"] = group["base_lr"] * factor
