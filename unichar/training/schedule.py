"""Learning-rate schedules as plain functions of the step."""

from torch.optim import Optimizer


def trapezoid(step: int, total: int, *, warmup: float = 0.02, decay: float = 0.3) -> float:
    """Factor in (0, 1] of the learning rate: linear warm-up, constant, linear decay (a trapezoid).

    Args:
        step: Index of the step, from 0.
        total: Number of steps.
        warmup: Share of `total` that warms up.
        decay: Share of `total` that decays.
    """
    # At least one step each, also in the shortest runs.
    up = max(1, round(total * warmup))
    down = max(1, round(total * decay))

    # The last step has the factor 1 / down, not zero, so that it still learns.
    return min(1.0, (step + 1) / up, (total - step) / down)


def set_factor(optimizer: Optimizer, factor: float) -> None:
    """Set every group's learning rate to `factor` times the rate it was built with."""
    for group in optimizer.param_groups:
        # Kept in the group, so that factors do not multiply from step to step.
        group.setdefault("base_lr", group["lr"])
        group["lr"] = group["base_lr"] * factor
