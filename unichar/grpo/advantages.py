"""Group-relative advantages: a picture against the others of its prompt."""

from torch import Tensor


def group_advantages(rewards_pg: Tensor, *, clip: float) -> Tensor:
    """[P, G] advantages in [-clip, clip]: (R - mean of the prompt) / (std over the whole round + 1e-4).

    The deviation is that of all pictures of the round after centring (DiffusionNFT's global std): a group whose pictures are
    equally good then gets small advantages instead of having its noise blown up.
    """
    centred = rewards_pg - rewards_pg.mean(dim=1, keepdim=True)
    return (centred / (centred.std(correction=0) + 1e-4)).clamp(-clip, clip)


def optimality(advantages: Tensor, *, clip: float) -> Tensor:
    """r in [0, 1]: 0.5 for an average picture, 1 at +clip deviations."""
    return (advantages / (2 * clip) + 0.5).clamp(0, 1)
