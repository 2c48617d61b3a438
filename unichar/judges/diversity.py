"""Diversity: mean perceptual distance between pictures of one prompt, in 0..1.

As a reward it must be a distance *a picture* (leave one out): a mean for the whole group would cancel in group-relative
advantages.
"""

import torch
from torch import Tensor

from unichar.judges.encoders import perceptual_distances


def leave_one_out(vectors_pgd: Tensor) -> Tensor:
    """[P, G] mean distance of every picture to the others of its prompt; `vectors_pgd` as of `perceptual_vectors`."""
    groups = vectors_pgd.shape[1]
    rows = [perceptual_distances(group, group) for group in vectors_pgd]
    return torch.stack([(d.sum(dim=1) - d.diagonal()) / (groups - 1) for d in rows])
