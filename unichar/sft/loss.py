"""The Unified-SFT objective: ce_weight x CE + mse_weight x MSE, each averaged over what it covers (method: 2.4).

A step may be read in parts, on one process or several; sums and counts of the parts give the averages of the whole.
"""

from dataclasses import dataclass, field

TEXT, PICTURES = "ce", "mse"


@dataclass(frozen=True, kw_only=True)
class LossAccumulator:
    """Sums of errors and what they are sums over, by task.

    Example: `tally.add("ce_role_play", 34.2, 12)` for twelve tokens of role-play; names begin with `ce_` or `mse_`.
    """

    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, errors: float, count: int) -> None:
        """Count `count` more tokens (cross-entropies in nats) or pictures (mean squared velocity errors)."""
        self.sums[name] = self.sums.get(name, 0.0) + errors
        self.counts[name] = self.counts.get(name, 0.0) + count

    def count(self, side: str) -> float:
        """Tokens (`TEXT`) or pictures (`PICTURES`) so far."""
        return sum(count for name, count in self.counts.items() if name.startswith(f"{side}_"))


def unified_loss(accumulator: LossAccumulator, *, ce_weight: float, mse_weight: float) -> dict[str, float]:
    """`{"loss", "ce", "mse", "ce_role_play", ...}`: the objective, the mean a token and a picture, and the mean of every task.

    What the step did not cover is absent, and adds nothing to the objective.
    """
    means: dict[str, float] = {}
    for side in (TEXT, PICTURES):
        if count := accumulator.count(side):
            means[side] = (
                sum(errors for name, errors in accumulator.sums.items() if name.startswith(f"{side}_"))
                / count
            )
    loss = ce_weight * means.get(TEXT, 0.0) + mse_weight * means.get(PICTURES, 0.0)
    tasks = {
        name: errors / accumulator.counts[name]
        for name, errors in accumulator.sums.items()
        if accumulator.counts[name]
    }
    return {"loss": loss, **means, **tasks}
