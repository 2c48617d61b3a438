"""Diversity: mean perceptual distance between the pictures of one prompt, in 0..1.

A reward needs a distance per picture (leave-one-out). A mean over the group would be the same for all of its
pictures and cancel in group-relative advantages.

Letters: P prompts, G pictures per prompt, D features.
"""

import torch
from torch import Tensor

from unichar.judges.encoders import perceptual_distances


def leave_one_out(vectors_pgd: Tensor) -> Tensor:
    """[P, G] mean distance of every picture to the others of its prompt.

    Args:
        vectors_pgd: [P, G, D] of `perceptual_vectors`, G at least 2.
    """
    # One prompt at a time: pictures of different prompts are never compared.
    groups = vectors_pgd.shape[1]
    rows = []
    for group in vectors_pgd:
        # The diagonal is 0 up to rounding, which the difference removes.
        distances = perceptual_distances(group, group)  # [G, G]
        rows.append((distances.sum(dim=1) - distances.diagonal()) / (groups - 1))

    return torch.stack(rows)
