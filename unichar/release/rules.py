"""The gate's rules: the released model compared with its base, metric by metric. No torch.

    decide(report["arms"], ReleaseConfig()).passed

Not in the paper, which stops at a checkpoint.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from unichar.release.config import ReleaseConfig

CANDIDATE = "grpo"
"""The arm that is released."""

Metrics = Mapping[str, Mapping[str, Any]]
"""Metric -> {"value", "low", "high", "n"}, as in report.json."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The gate's decision, as it stands in `release.json`."""

    passed: bool
    reasons: tuple[str, ...]
    """Rules that are broken, and required metrics that are missing; empty when it passed."""
    held: tuple[str, ...]
    """Rules that were compared and hold."""
    skipped: tuple[str, ...]
    """Rules that were not compared, because the report lacks the metric."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What one metric of the released model must be."""

    must_be: Literal["above", "at least", "at most"]
    limit: float
    source: str
    """Where the limit comes from, for people."""
    is_absolute: bool = False
    """Compared with `limit` itself, not with the base's value plus `limit`."""

    def holds(self, value: float, limit: float) -> bool:
        """Whether `value` keeps to the resolved `limit`."""
        # "above" excludes the limit itself: a model that equals its base has gained nothing.
        # NaN fails every comparison, so a broken number never passes.
        if self.must_be == "above":
            return value > limit
        return value >= limit if self.must_be == "at least" else value <= limit


def decide(arms: Mapping[str, Metrics], config: ReleaseConfig) -> Decision:
    """Compare the released arm with the base, rule by rule."""
    # An arm that was not run has no metrics, and then every rule says what is missing.
    base, tuned = arms.get("base", {}), arms.get(CANDIDATE, {})

    # Every rule ends up in exactly one of the three lists.
    reasons: list[str] = []
    held: list[str] = []
    skipped: list[str] = []

    for metric, rule in rules(config).items():
        # An absolute limit needs no base.
        needed = (CANDIDATE,) if rule.is_absolute else ("base", CANDIDATE)
        missing = [arm for arm in needed if metric not in arms.get(arm, {})]
        if missing:
            says = f"{metric} was not measured for {' and '.join(missing)}"

            # Without a required metric nothing is promoted; any other is only mentioned on the card.
            (reasons if metric in config.required else skipped).append(says)
            continue

        # Means are compared, not the ends of intervals; the margins in the settings allow for noise.
        value = tuned[metric]["value"]
        limit = rule.limit if rule.is_absolute else rule.limit + base[metric]["value"]

        # The sentence has both numbers, so that a reader can check the rule without the report.
        says = f"{metric} is {value:.3f}; it must be {rule.must_be} {limit:.3f} ({rule.source})"
        (held if rule.holds(value, limit) else reasons).append(says)

    return Decision(passed=not reasons, reasons=tuple(reasons), held=tuple(held), skipped=tuple(skipped))


def rules(config: ReleaseConfig) -> dict[str, Rule]:
    """Metric -> its rule; the keys are `config.METRICS`."""

    # Signs: a loss is given as a positive number and lowers the limit where higher is better.

    return {
        "identity": Rule(
            must_be="above", limit=config.identity_gain, source="the base's value plus identity_gain"
        ),
        "held_out_nll": Rule(
            must_be="at most", limit=config.nll_loss, source="the base's value plus nll_loss"
        ),
        "alignment": Rule(
            must_be="at least", limit=-config.alignment_loss, source="the base's value minus alignment_loss"
        ),
        "style": Rule(
            must_be="at least", limit=-config.style_loss, source="the base's value minus style_loss"
        ),
        "copying": Rule(
            must_be="at most", limit=config.copying_most, source="the setting copying_most", is_absolute=True
        ),
    }
