"""The Unified-SFT objective (method: section 2.4): ce_weight x CE + mse_weight x MSE, means over a step.

A step is read in microbatches and sharded over ranks; sums and counts over both give the means of the step.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from unichar.training.scalars import add_scalar

TEXT, PICTURES = "ce", "mse"
"""Prefixes of the names of text tasks (cross-entropy) and of picture tasks (velocity error)."""


@dataclass(frozen=True, kw_only=True)
class LossAccumulator:
    """Sums of errors, on their device, and how many terms they have, by task.

    Example: `accumulator.add("ce_role_play", losses.sum(), 12)` for twelve tokens of role-play; names begin
    with `ce_` or `mse_`.
    """

    sums: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, errors: Tensor, count: int) -> None:
        """Add summed `errors`, a scalar: cross-entropies of `count` tokens in nats, or velocity errors of
        `count` pictures."""
        add_scalar(self.sums, name, errors)
        self.counts[name] = self.counts.get(name, 0.0) + count

    def count(self, prefix: str) -> float:
        """Tokens (`TEXT`) or pictures (`PICTURES`) so far."""
        return _total(self.counts, prefix)


def unified_loss(
    sums: Mapping[str, float], counts: Mapping[str, float], *, ce_weight: float, mse_weight: float
) -> dict[str, float]:
    """The objective and its parts, from summed errors and their counts by task.

    Returns:
        `{"loss", "ce", "mse", "ce_role_play", ...}`: the objective, the mean per token and per picture, and
        the mean of every task. What the step did not cover is absent and adds nothing to the objective.
    """
    # Sums over counts: the mean over a whole step, for any number of microbatches and ranks.
    means: dict[str, float] = {}
    for prefix in (TEXT, PICTURES):
        if count := _total(counts, prefix):
            means[prefix] = _total(sums, prefix) / count

    # A step without text or without pictures has no such term.
    loss = ce_weight * means.get(TEXT, 0.0) + mse_weight * means.get(PICTURES, 0.0)

    # Every task by itself, for the curve; tasks do not weigh in the objective beyond their terms.
    tasks: dict[str, float] = {}
    for name, errors in sums.items():
        if count := counts[name]:
            tasks[name] = errors / count

    return {"loss": loss, **means, **tasks}


def _total(values: Mapping[str, float], prefix: str) -> float:
    """Sum over all tasks of one prefix."""
    return sum(value for name, value in values.items() if name.startswith(f"{prefix}_"))
