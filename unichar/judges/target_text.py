"""What a picture was meant to show, in words, and who may judge that."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from unichar.types import CuratedKit, Prompt

_WHO = {"human": "the person", "animal": "the animal", "toon": "the cartoon character"}


class TextJudge(Protocol):
    """Compares pictures with texts."""

    def score(self, pixels: Tensor, texts: Sequence[str]) -> Tensor:
        """[B] in 0..1 of pixels [B, 3, H, W] in [-1, 1], one text a picture."""
        ...


def unnamed(text: str, kit: CuratedKit) -> str:
    """The text with `the person` or the like for the character's name, which says nothing to who has never met it."""
    return text.replace(kit.name, _WHO[kit.category])


def mean_score(judges: Sequence[TextJudge], pixels: Tensor, texts: Sequence[str]) -> Tensor:
    """[B] in 0..1, the mean of all judges."""
    return torch.stack([judge.score(pixels, texts) for judge in judges]).mean(dim=0)


def target_text(prompt: Prompt, kit: CuratedKit) -> str:
    """What a prompt's picture must show: the caption of the picture of its moment, else its own text.

    A moment of conversation says much that no picture shows, its caption only what one does.
    """
    captions = [picture.caption for picture in kit.pictures if picture.image == prompt.reference]
    return unnamed([*captions, prompt.text][0], kit)
