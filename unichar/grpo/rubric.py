"""The reward: judges times weights, every part kept beside the sum.

Rewards look with the model's own vision tower, and at naturalness with its denoiser. The same rubric on another eye is the
independent evaluator that training is stopped and checkpoints are chosen by (`watch.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unichar.grpo.config import RewardConfig
from unichar.judges.diversity import leave_one_out
from unichar.judges.naturalness import Naturalness
from unichar.judges.scorers import Scorers
from unichar.training.microbatches import Row, all_gather_rows
from unichar.types import Prompt


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """B = P x G pictures, the G of a prompt together: latents [B, C, h, w] and pixels [B, 3, H, W]."""

    latents: Tensor
    pixels: Tensor


@dataclass(frozen=True, kw_only=True)
class Rewards:
    """Rewards of P prompts with G pictures each: the weighted sum and its parts, every one [P, G]."""

    total: Tensor
    parts: dict[str, Tensor]


def all_gather_rewards(rows: Sequence[Row], found: Sequence[Rewards], count: int) -> Rewards:
    """Rewards of all `count` prompts, of which `found` has those of `rows`; see `all_gather_rows`."""
    total = all_gather_rows(rows, torch.cat([some.total for some in found]), count)
    parts = {
        name: all_gather_rows(rows, torch.cat([some.parts[name] for some in found]), count)
        for name in found[0].parts
    }
    return Rewards(total=total, parts=parts)


class Rubric:
    """Scores groups of pictures of one character."""

    def __init__(self, scorers: Scorers, naturalness: Naturalness, config: RewardConfig) -> None:
        self.scorers, self._naturalness = scorers, naturalness
        self._weights = {
            "identity": config.identity_weight,
            "alignment": config.alignment_weight,
            "diversity": config.diversity_weight,
            "naturalness": config.naturalness_weight,
        }
        if config.consistency_weight:
            self._weights["consistency"] = config.consistency_weight

    @torch.no_grad()
    def score(self, drawn: Drawn, prompts: Sequence[Prompt]) -> Rewards:
        """Rewards of P prompts' pictures. Parts: `identity` up to 1 (the band), the others in 0..1.

        Diversity counts as far as a picture shows the character: being unlike the others is easy for somebody else.
        """
        grouped = (len(prompts), len(drawn.pixels) // len(prompts))
        each = [prompt for prompt in prompts for _ in range(grouped[1])]
        identity = self.scorers.band(drawn.pixels, each).view(grouped)
        unlike = leave_one_out(self.scorers.vectors(drawn.pixels).view(*grouped, -1))
        parts = {
            "identity": identity,
            "alignment": self.scorers.alignment(drawn.pixels, each).view(grouped),
            "diversity": identity.clamp(0, 1) * unlike,
            "naturalness": self._naturalness.score(drawn.latents).view(grouped),
        }
        if "consistency" in self._weights:
            parts["consistency"] = self.scorers.consistency(drawn.pixels, each).view(grouped)
        total = torch.stack([self._weights[name] * part for name, part in parts.items()]).sum(dim=0)
        return Rewards(total=total, parts=parts)
