"""The reward: judges times weights, every part kept beside the sum. All judges look with the model's own vision tower."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from unichar.grpo.config import GrpoConfig
from unichar.grpo.prompts import Prompt
from unichar.judges.alignment import AttributeAlignment, SceneRank
from unichar.judges.diversity import leave_one_out
from unichar.judges.eyes import Eye, perceptual_vectors
from unichar.judges.likeness import PhotoLikeness, ToonLikeness
from unichar.judges.strangers import strangers
from unichar.kit.images import load_picture
from unichar.model.pixels import to_pixels
from unichar.records import CuratedKit


@dataclass(frozen=True, kw_only=True)
class Rewards:
    """Rewards of P prompts with G pictures each: the weighted sum and its parts, every one [P, G]."""

    total: Tensor
    parts: dict[str, Tensor]


class Rubric:
    """Scores pictures of one character."""

    def __init__(self, eye: Eye, kit: CuratedKit, folder: Path, *, config: GrpoConfig, size: int) -> None:
        self._eye = eye
        self._weights = {
            "identity": config.identity_weight,
            "alignment": config.alignment_weight,
            "diversity": config.diversity_weight,
        }
        self._names = [picture.image for picture in kit.pictures]
        pictures = to_pixels([load_picture(folder / name, size) for name in self._names])
        known = pictures[[i for i, picture in enumerate(kit.pictures) if picture.split == "train"]]
        self._toon = kit.is_toon_world
        self._by_attributes = AttributeAlignment(eye, soft=True)
        self._by_scene = SceneRank(eye, pictures)
        self._likeness: ToonLikeness | PhotoLikeness
        if self._toon:
            self._likeness = ToonLikeness(eye, known, is_human=kit.pictures[0].attributes["species"] == "human")
        else:
            self._likeness = PhotoLikeness(eye, known, strangers(size))

    def score(self, pixels: Tensor, prompts: Sequence[Prompt], *, group: int) -> Rewards:
        """Rewards of pixels [P * G, 3, H, W], the G pictures of a prompt together."""
        each = [prompt for prompt in prompts for _ in range(group)]
        if self._toon:
            alignment = self._by_attributes.score(pixels, [prompt.attributes for prompt in each])
        else:
            alignment = self._by_scene.score(pixels, [self._names.index(prompt.reference) for prompt in each])
        vectors = perceptual_vectors(self._eye, pixels).view(len(prompts), group, -1)
        parts = {
            "identity": self._likeness.score(pixels).view(len(prompts), group),
            "alignment": alignment.view(len(prompts), group),
            "diversity": leave_one_out(vectors),
        }
        total = torch.stack([self._weights[name] * part for name, part in parts.items()]).sum(dim=0)
        return Rewards(total=total, parts=parts)
