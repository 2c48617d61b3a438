"""Alignment: how much of the prompt is in the picture, in 0..1, and consistency, the same for a reply.

Domains that read attributes: the fraction of the scene attributes named by the prompt (expression, pose,
prop, background) that the encoder finds. Others are judged by networks that read text (`clip.py`,
`questions.py`) if any are configured. Without them, alignment is a rank: the position of the picture's own
reference among all references, ordered by perceptual distance; 1 for the nearest, 0 for the farthest, one
half for a guess.

Letters: B pictures, R references, H/W pixels.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from unichar.domains.lookup import domain_of
from unichar.domains.toon.vocabulary import SCENE
from unichar.judges.encoders import Encoder, perceptual_distances, perceptual_vectors
from unichar.types import CuratedKit, Prompt

# What a judge reads instead of the character's name, by the category of the kit.
_WHO = {"human": "the person", "animal": "the animal", "toon": "the cartoon character"}


class TextJudge(Protocol):
    """Compares pictures with texts."""

    def score(self, pixels: Tensor, texts: Sequence[str]) -> Tensor:
        """[B] in 0..1 for pixels [B, 3, H, W] in [-1, 1] and one text per picture."""
        ...


class AttributeAlignment:
    """Scores pictures by the scene attributes that their prompts name.

    Args:
        encoder: Reads attributes.
        soft: Whether attributes count by their probability (a reward needs a gradient of quality) or as hits
            (a metric).
    """

    def __init__(self, encoder: Encoder, *, soft: bool) -> None:
        self._encoder = encoder
        self._soft = soft

    def score(self, pixels: Tensor, targets: Sequence[dict[str, str]]) -> Tensor:
        """[B] for pixels [B, 3, H, W] and the attributes of one prompt per picture."""
        logits = self._encoder.read(pixels)

        # Prompts name different attributes, so hits and attributes are counted per picture.
        found, named = torch.zeros(len(pixels)), torch.zeros(len(pixels))

        for name, values in SCENE.items():
            # Only the pictures whose prompts name this attribute.
            rows = [row for row, attributes in enumerate(targets) if name in attributes]
            index = torch.tensor(rows, dtype=torch.long)
            target = torch.tensor([values.index(targets[row][name]) for row in rows], dtype=torch.long)

            if self._soft:
                # [rows, values]: the probability of the value that the prompt names.
                probabilities = logits[name][index].softmax(dim=1)
                found[index] += probabilities.gather(1, target[:, None])[:, 0]
            else:
                found[index] += (logits[name][index].argmax(dim=1) == target).float()
            named[index] += 1
        return found / named


class SceneRank:
    """Scores pictures of photographed scenes by the rank of their own reference; `references` [R, 3, H, W],
    at least two."""

    def __init__(self, encoder: Encoder, references: Tensor) -> None:
        self._encoder = encoder

        # [R, D], computed once: every score is compared with all references.
        self._references = perceptual_vectors(encoder, references)

    def score(self, pixels: Tensor, own: Sequence[int]) -> Tensor:
        """[B] for pixels [B, 3, H, W]; `own[b]` is the index of picture b's reference."""
        distances = perceptual_distances(
            perceptual_vectors(self._encoder, pixels), self._references
        )  # [B, R]

        # The rank counts the references that are farther away than the picture's own; ties count against it.
        to_own = distances.gather(1, torch.tensor(list(own))[:, None])  # [B, 1]
        return (distances > to_own).float().sum(dim=1) / (len(self._references) - 1)


class Consistency:
    """Scores pictures by the reply that they accompany and its drawing instruction.

    Domains that read attributes use those of the turn; others need judges that read text and get 0 without
    them.
    """

    def __init__(self, attributes: AttributeAlignment, kit: CuratedKit, texts: Sequence[TextJudge]) -> None:
        self._attributes, self._kit, self._texts = attributes, kit, texts

    def score(self, pixels: Tensor, prompts: Sequence[Prompt]) -> Tensor:
        """[B] for pixels [B, 3, H, W] and one prompt per picture; 0 for prompts without a reply."""
        # All pictures of a prompt without a reply get the same, so they change no advantage.
        scores = torch.zeros(len(pixels))
        rows = [row for row, prompt in enumerate(prompts) if prompt.reply]

        if rows and domain_of(self._kit).reads_attributes:
            scores[rows] = self._attributes.score(pixels[rows], [prompts[row].attributes for row in rows])
        elif rows and self._texts:
            replies = [unnamed(prompts[row].reply, self._kit) for row in rows]
            scores[rows] = mean_score(self._texts, pixels[rows], replies)
        return scores


def mean_score(judges: Sequence[TextJudge], pixels: Tensor, texts: Sequence[str]) -> Tensor:
    """[B] in 0..1, the mean of all judges."""
    # [judges, B]; each judge is scaled to 0..1 by itself, so the plain mean weighs all alike.
    return torch.stack([judge.score(pixels, texts) for judge in judges]).mean(dim=0)


def target_text(prompt: Prompt, kit: CuratedKit) -> str:
    """What a prompt's pictures must show: the caption of the prompt's reference, else the prompt itself.

    A multimodal turn says much that no picture shows; the caption says only what one does.
    """
    # The reference's caption comes first, if there is one.
    captions = [picture.caption for picture in kit.pictures if picture.image == prompt.reference]
    return unnamed([*captions, prompt.text][0], kit)


def unnamed(text: str, kit: CuratedKit) -> str:
    """The text with `the person` or the like for the character's name, which other networks have never
    heard."""
    return text.replace(kit.name, _WHO[kit.category])
