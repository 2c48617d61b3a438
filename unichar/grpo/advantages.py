"""Group-relative advantages: a sample against the others of its prompt. P prompts with G samples each."""

import torch
from torch import Tensor

_EPSILON = 1e-4
"""Keeps the division finite where all rewards are equal; as in the published code of both algorithms."""


def group_advantages(rewards_pg: Tensor, *, clip: float, by_group: bool = False) -> Tensor:
    """[P, G] advantages in [-clip, clip]: (reward - mean of the prompt) / (std + 1e-4).

    The std, without Bessel's correction, is that of the whole round after centring (DiffusionNFT's global
    std), so that noise in a group of equally good pictures is not amplified. `by_group` takes each prompt's
    own std (Flow-GRPO).
    """
    # Against the other pictures of the prompt: how hard a prompt is does not matter.
    centred = rewards_pg - rewards_pg.mean(dim=1, keepdim=True)  # [P, G]
    # [P, 1], or a scalar for the whole round.
    std = centred.std(dim=1, correction=0, keepdim=True) if by_group else centred.std(correction=0)

    # Clipped, so that one odd picture cannot decide a step.
    return (centred / (std + _EPSILON)).clamp(-clip, clip)


def optimality(advantages: Tensor, *, clip: float) -> Tensor:
    """DiffusionNFT's r in [0, 1]: 0.5 for an average picture, 1 at an advantage of +clip. Any shape."""
    return (advantages / (2 * clip) + 0.5).clamp(0, 1)


def groups_with_variance(rewards_pg: Tensor, *, min_spread: float) -> Tensor:
    """[P] bool: the group's rewards are finite, with a standard deviation of at least `min_spread`."""
    # Nearly equal rewards do not say which picture is better. A group with a NaN or an infinite reward is
    # left out as a whole.
    spread = rewards_pg.std(dim=1, correction=0)  # [P]
    return (spread >= min_spread) & torch.isfinite(rewards_pg).all(dim=1)
