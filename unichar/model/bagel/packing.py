"""Lays out the elements of conversations as one sequence: expert, position and attention mask of every token.

Shape letters: U tokens of the text expert, G of the generation expert, N = U + G, in this order (see
`decoder.py`).

| element | tokens | attention within itself | positions |
|---|---|---|---|
| `text` | its ids, with begin and end | causal | one each |
| `seen`: patches for the vision tower | start, patches, end | full | one for all |
| `clean`: latents of a given picture | start, latents, end | full | one for all |
| `noisy`: latents to generate | start, latents, end | full; hidden from others | one for all, reused next |

Every token attends to all earlier elements of its own conversation. Markers of pictures go through the text
expert.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

PATCH = -1
"""Placeholder among ids: a token that the vision tower makes."""
IGNORED = -100
"""Among labels: no loss."""


@dataclass(frozen=True, kw_only=True)
class SpecialTokens:
    """Ids of the four control tokens."""

    begin: int
    end: int
    vision_start: int
    vision_end: int


@dataclass(frozen=True, kw_only=True)
class Element:
    """A text, given by its `ids` with control tokens, or a picture, given by its number of tokens."""

    kind: Literal["text", "seen", "clean", "noisy"]
    ids: tuple[int, ...] = ()
    tokens: int = 0
    has_loss: bool = False
    """Whether the ids of a text, after the first, are targets."""


@dataclass(frozen=True, kw_only=True)
class Packed:
    """Conversations as one sequence."""

    ids: Tensor
    """[U] token ids, `PATCH` where the vision tower's tokens go."""
    labels: Tensor
    """[U] the next id where it is a target, else `IGNORED`."""
    positions: Tensor
    """[N] rotary positions."""
    mask: Tensor
    """[N, N], True where the row's token attends to the column's."""
    next: tuple[int, ...]
    """The next position of each conversation."""


@dataclass
class _Token:
    id: int
    label: int
    position: int
    conversation: int
    element: int
    kind: str
    is_latent: bool


def pack(conversations: Sequence[Sequence[Element]], special: SpecialTokens) -> Packed:
    """Lay out conversations one after the other; tokens attend to their own conversation only."""
    tokens: list[_Token] = []
    next_positions = []
    count = 0

    for number, elements in enumerate(conversations):
        position = 0
        for element in elements:
            tokens += _tokens(element, special, position, number, count)
            count += 1
            position += len(element.ids) if element.kind == "text" else int(element.kind != "noisy")
        next_positions.append(position)

    # Group tokens by expert; the sort is stable, so each expert's tokens stay in reading order.
    order = sorted(range(len(tokens)), key=lambda index: tokens[index].is_latent)
    grouped = [tokens[index] for index in order]
    text = [token for token in grouped if not token.is_latent]

    return Packed(
        ids=torch.tensor([token.id for token in text], dtype=torch.long),
        labels=torch.tensor([token.label for token in text], dtype=torch.long),
        positions=torch.tensor([token.position for token in grouped], dtype=torch.long),
        mask=_mask(grouped, torch.tensor(order, dtype=torch.long)),
        next=tuple(next_positions),
    )


def _tokens(
    element: Element, special: SpecialTokens, position: int, conversation: int, number: int
) -> list[_Token]:
    """The tokens of one element, in reading order."""

    def token(id: int, label: int = IGNORED, at: int = position, latent: bool = False) -> _Token:
        return _Token(id, label, at, conversation, number, element.kind, latent)

    if element.kind == "text":
        labels = (*element.ids[1:], IGNORED) if element.has_loss else (IGNORED,) * len(element.ids)
        made = []
        for i, (id, label) in enumerate(zip(element.ids, labels, strict=True)):
            made.append(token(id, label, position + i))
        return made

    inside = [token(PATCH, latent=element.kind != "seen") for _ in range(element.tokens)]
    return [token(special.vision_start), *inside, token(special.vision_end)]


def _mask(tokens: Sequence[_Token], order: Tensor) -> Tensor:
    """[N, N] attention mask; `order` [N] is the index of each token in reading order."""
    conversation = torch.tensor([token.conversation for token in tokens])
    element = torch.tensor([token.element for token in tokens])
    is_text = torch.tensor([token.kind == "text" for token in tokens], dtype=torch.bool)
    is_noisy = torch.tensor([token.kind == "noisy" for token in tokens], dtype=torch.bool)

    same_conversation = conversation[:, None] == conversation  # [N, N]
    same_element = element[:, None] == element  # [N, N]
    causal_or_full = (order[:, None] >= order) | (same_element & ~is_text)
    return same_conversation & causal_or_full & (same_element | ~is_noisy)
