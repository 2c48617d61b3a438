"""The reward: judges times weights, every part kept beside the sum. All judges look with the model's own vision tower."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unichar.grpo.config import GrpoConfig
from unichar.judges.diversity import leave_one_out
from unichar.judges.panel import Panel
from unichar.judges.prompts import Prompt


@dataclass(frozen=True, kw_only=True)
class Rewards:
    """Rewards of P prompts with G pictures each: the weighted sum and its parts, every one [P, G]."""

    total: Tensor
    parts: dict[str, Tensor]


class Rubric:
    """Scores groups of pictures of one character."""

    def __init__(self, panel: Panel, config: GrpoConfig) -> None:
        self._panel = panel
        self._weights = {
            "identity": config.identity_weight,
            "alignment": config.alignment_weight,
            "diversity": config.diversity_weight,
        }

    def score(self, pixels: Tensor, prompts: Sequence[Prompt], *, group: int) -> Rewards:
        """Rewards of pixels [P * G, 3, H, W], the G pictures of a prompt together."""
        each = [prompt for prompt in prompts for _ in range(group)]
        grouped = (len(prompts), group)
        parts = {
            "identity": self._panel.likeness(pixels).view(grouped),
            "alignment": self._panel.alignment(pixels, each).view(grouped),
            "diversity": leave_one_out(self._panel.vectors(pixels).view(*grouped, -1)),
        }
        total = torch.stack([self._weights[name] * part for name, part in parts.items()]).sum(dim=0)
        return Rewards(total=total, parts=parts)
