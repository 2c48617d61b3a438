"""Consistency: how much of what the character says, and plans to show with it, is in the picture drawn for its reply, in 0..1.

Toons: the scene of the moment as the eye reads it, as for alignment. Photographs: what networks that read make of the reply and
its drawing instruction, where alignment asks for the caption of the picture that the kit has of the moment.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from unichar.domains.lookup import domain_of
from unichar.judges.alignment import AttributeAlignment
from unichar.judges.target_text import TextJudge, mean_score, unnamed
from unichar.types import CuratedKit, Prompt


class Consistency:
    """Compares pictures with what was said; `texts` are for photographs, of which nobody can judge it without them."""

    def __init__(self, attributes: AttributeAlignment, kit: CuratedKit, texts: Sequence[TextJudge]) -> None:
        self._attributes, self._kit, self._texts = attributes, kit, texts

    def score(self, pixels: Tensor, prompts: Sequence[Prompt]) -> Tensor:
        """[B] for pictures [B, 3, H, W] and one prompt a picture; 0 where nothing is said or nobody can judge it."""
        found = torch.zeros(len(pixels))
        rows = [row for row, prompt in enumerate(prompts) if prompt.reply]
        if rows and domain_of(self._kit).reads_attributes:
            found[rows] = self._attributes.score(pixels[rows], [prompts[row].attributes for row in rows])
        elif rows and self._texts:
            found[rows] = mean_score(
                self._texts, pixels[rows], [unnamed(prompts[row].reply, self._kit) for row in rows]
            )
        return found
