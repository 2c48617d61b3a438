"""Means with bootstrap intervals: every number of a report comes from here. No torch.

    estimate([0.8, 0.9, 0.7])                       independent items
    estimate(nats_per_token, weights=num_tokens)    a mean per token over replies of different length
    cluster_estimate([[0.8, 0.9], [0.3, 0.4]])      pictures of one prompt are alike: prompts are resampled

The paper reports plain means; with a dozen held-out items these say little without an interval.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

# Of every interval; pages and model cards say "95 %".
_LEVEL = 0.95
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A measured mean. Example: `Estimate(value=0.87, low=0.81, high=0.92, n=48)`"""

    value: float
    low: float
    """Lower end of the 95 % interval.

    A bootstrap sees no spread in one item, or in items that are all alike: there low = high.
    """
    high: float
    n: int
    """Number of items (not of tokens, not of groups)."""

    def to_json(self) -> dict[str, Any]:
        """As `report.json` holds it."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}


def estimate(
    values: Sequence[float], *, seed: int = 0, weights: Sequence[float] | None = None, resamples: int = 1000
) -> Estimate:
    """The mean of independent items with a percentile bootstrap interval, a function of the arguments.

    Args:
        values: One finite number an item, at least one.
        seed: Of the resampling.
        weights: One positive number an item, as its number of tokens; equal if omitted.
        resamples: How often items are drawn with replacement.

    Raises:
        ValueError: No values, a number that is not finite, or weights that do not fit.
    """
    items = _finite(values, "values")

    # Equal weights make the mean a plain one.
    item_weights = np.ones_like(items) if weights is None else _finite(weights, "weights")
    if len(item_weights) != len(items) or item_weights.min() <= 0:
        raise ValueError(
            f"weights must be {len(items)} positive numbers, one for each value, not {list(item_weights)}"
        )
    return _bootstrap(items, item_weights, n=len(items), seed=seed, resamples=resamples)


def cluster_estimate(groups: Sequence[Sequence[float]], *, seed: int = 0, resamples: int = 1000) -> Estimate:
    """The mean over all values; the interval resamples whole groups, whose values are not independent.

    Args:
        groups: Values of each group, at least one group, none empty.
        seed: Of the resampling.
        resamples: How often groups are drawn with replacement.

    Raises:
        ValueError: No groups, an empty one, or a number that is not finite.
    """
    members = [_finite(group, "a group") for group in groups]
    if not members:
        raise ValueError("there are no groups to take a mean of")

    # The mean over all values is the mean of the group means weighted by size, in every resample too.
    means = np.array([group.mean() for group in members])
    sizes = np.array([float(len(group)) for group in members])
    return _bootstrap(means, sizes, n=int(sizes.sum()), seed=seed, resamples=resamples)


def evenly_spaced(items: Sequence[T], count: int) -> list[T]:
    """`count` items spread over the whole sequence; all of them where there are fewer."""
    if len(items) <= count:
        return list(items)
    return [items[i * len(items) // count] for i in range(count)]


def _finite(numbers: Sequence[float], what: str) -> np.ndarray:
    array = np.asarray(numbers, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{what} must be a flat list of at least one number, not of shape {array.shape}")

    if not np.isfinite(array).all():
        # The least of a boolean array is its first False.
        first = int(np.argmin(np.isfinite(array)))
        raise ValueError(f"{what} must be finite, but number {first} of {array.size} is {array[first]}")

    return array


def _bootstrap(items: np.ndarray, weights: np.ndarray, *, n: int, seed: int, resamples: int) -> Estimate:
    """The weighted mean of items [N] with its percentile interval over resamples of the items."""
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, not {resamples}")

    # The value itself comes from the items as they are; only the interval is random.
    rng = np.random.default_rng(seed)
    value = np.average(items, weights=weights)

    # One resample at a time: a matrix [resamples, N] would be large for many items.
    means = np.empty(resamples)
    for i in range(resamples):
        drawn = rng.integers(len(items), size=len(items))
        means[i] = np.average(items[drawn], weights=weights[drawn])

    low, high = np.quantile(means, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])

    # Skewed items can push the percentiles past the mean itself; the interval shall contain it.
    return Estimate(value=float(value), low=float(min(low, value)), high=float(max(high, value)), n=n)
