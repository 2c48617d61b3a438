"""Likeness: is the one in the picture the character? In 0..1, where 1 is as alike as the references are to each other.

Toons are compared by who they are, whatever they do: the mean overlap (Bhattacharyya) between the eye's probabilities for
species, colour, eyes, outfit, pattern and accessory, and those of the references. Photographs are compared by the cosine
of the eye's coarsest features, calibrated on the kit: 0 is the mean cosine between references and strangers, 1 that among
the references themselves.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from unichar.judges.eyes import Eye
from unichar.toons.spec import IDENTITY


class ToonLikeness:
    """Scores pictures [B, 3, H, W] of a toon-world character; `references` [R, 3, H, W]."""

    def __init__(self, eye: Eye, references: Tensor, *, is_human: bool) -> None:
        self._eye = eye
        self._names = [name for name in IDENTITY if name != "skin" or is_human]
        self._known = {name: p.mean(dim=0, keepdim=True) for name, p in self._probabilities(references).items()}

    def _probabilities(self, pixels: Tensor) -> dict[str, Tensor]:
        logits = self._eye.read(pixels)
        return {name: logits[name].softmax(dim=1) for name in self._names}

    def score(self, pixels: Tensor) -> Tensor:
        """[B] in 0..1."""
        seen = self._probabilities(pixels)
        overlaps = [(seen[name] * self._known[name]).sqrt().sum(dim=1) for name in self._names]
        return torch.stack(overlaps).mean(dim=0).clamp(0, 1)


class PhotoLikeness:
    """Scores pictures of a photographed character; `strangers` [S, 3, H, W] are pictures of anything else."""

    def __init__(self, eye: Eye, references: Tensor, strangers: Tensor) -> None:
        self._eye = eye
        self._known = self._features(references)
        among = self._known @ self._known.T
        count = len(references)
        self._one = float((among.sum() - count) / (count * (count - 1)))
        self._zero = float((self._features(strangers) @ self._known.T).mean())

    def _features(self, pixels: Tensor) -> Tensor:
        return torch.cat([F.normalize(self._eye.maps(chunk)[-1].mean(dim=(2, 3)), dim=1) for chunk in pixels.split(16)])

    def score(self, pixels: Tensor) -> Tensor:
        """[B] in 0..1."""
        cosine = (self._features(pixels) @ self._known.T).mean(dim=1)
        return ((cosine - self._zero) / max(self._one - self._zero, 1e-3)).clamp(0, 1)
