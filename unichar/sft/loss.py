"""The Unified-SFT objective (method: section 2.4): ce_weight x CE + mse_weight x MSE, means over a step.

A step is read in microbatches and sharded over ranks; sums and counts over both give the means of the step.
"""

from dataclasses import dataclass, field

TEXT, PICTURES = "ce", "mse"
"""Prefixes of the names of text tasks (cross-entropy) and of picture tasks (velocity error)."""


@dataclass(frozen=True, kw_only=True)
class LossAccumulator:
    """Sums of errors and how many terms they have, by task.

    Example: `accumulator.add("ce_role_play", 34.2, 12)` for twelve tokens of role-play; names begin with
    `ce_` or `mse_`.
    """

    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, errors: float, count: int) -> None:
        """Add summed `errors`: cross-entropies of `count` tokens in nats, or velocity errors of `count`
        pictures."""
        self.sums[name] = self.sums.get(name, 0.0) + errors
        self.counts[name] = self.counts.get(name, 0.0) + count

    def total(self, prefix: str) -> float:
        """Summed errors of all `TEXT` or all `PICTURES` tasks."""
        return sum(errors for name, errors in self.sums.items() if name.startswith(f"{prefix}_"))

    def count(self, prefix: str) -> float:
        """Tokens (`TEXT`) or pictures (`PICTURES`) so far."""
        return sum(count for name, count in self.counts.items() if name.startswith(f"{prefix}_"))


def unified_loss(accumulator: LossAccumulator, *, ce_weight: float, mse_weight: float) -> dict[str, float]:
    """The objective and its parts.

    Returns:
        `{"loss", "ce", "mse", "ce_role_play", ...}`: the objective, the mean per token and per picture, and
        the mean of every task. What the step did not cover is absent and adds nothing to the objective.
    """
    # Sums over counts: the mean over a whole step, for any number of microbatches and ranks.
    means: dict[str, float] = {}
    for prefix in (TEXT, PICTURES):
        if count := accumulator.count(prefix):
            means[prefix] = accumulator.total(prefix) / count

    # A step without text or without pictures has no such term.
    loss = ce_weight * means.get(TEXT, 0.0) + mse_weight * means.get(PICTURES, 0.0)

    # Every task by itself, for the curve; tasks do not weigh in the objective beyond their terms.
    tasks: dict[str, float] = {}
    for name, errors in accumulator.sums.items():
        if count := accumulator.counts[name]:
            tasks[name] = errors / count

    return {"loss": loss, **means, **tasks}
