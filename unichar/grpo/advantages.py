"""Group-relative advantages: a picture against the others of its prompt."""

import torch
from torch import Tensor


def group_advantages(rewards_pg: Tensor, *, clip: float, by_group: bool = False) -> Tensor:
    """[P, G] advantages in [-clip, clip]: (R - mean of the prompt) / (std + 1e-4), the deviation without Bessel's correction.

    The deviation is that of all pictures of the round after centring (DiffusionNFT's global std): a group whose pictures are
    equally good then gets small advantages instead of having its noise blown up. `by_group` takes each prompt's own (Flow-GRPO).
    """
    centred = rewards_pg - rewards_pg.mean(dim=1, keepdim=True)
    spread = centred.std(dim=1, correction=0, keepdim=True) if by_group else centred.std(correction=0)
    return (centred / (spread + 1e-4)).clamp(-clip, clip)


def optimality(advantages: Tensor, *, clip: float) -> Tensor:
    """r in [0, 1]: 0.5 for an average picture, 1 at +clip deviations."""
    return (advantages / (2 * clip) + 0.5).clamp(0, 1)


def groups_with_variance(rewards_pg: Tensor, *, min_spread: float) -> Tensor:
    """[P] whether a prompt's rewards differ: the standard deviation is at least `min_spread`, and all are numbers."""
    return (rewards_pg.std(dim=1, correction=0) >= min_spread) & torch.isfinite(rewards_pg).all(dim=1)
