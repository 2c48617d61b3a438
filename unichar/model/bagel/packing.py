"""Lays out the elements of conversations as one sequence: expert and position of every token, and who attends
to whom.

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

    @property
    def length(self) -> int:
        """Tokens in the sequence, the two markers of a picture included."""
        return len(self.ids) if self.kind == "text" else self.tokens + 2


@dataclass(frozen=True, kw_only=True)
class Span:
    """Tokens that attend in one call: one picture, or adjacent texts of a conversation.

    Slices count all tokens in reading order.
    """

    queries: slice
    keys: tuple[slice, ...]
    """What they attend to, in order, themselves last."""
    is_causal: bool
    """Whether each query attends to no later token, as in texts."""


@dataclass(frozen=True, kw_only=True)
class Packed:
    """Conversations as one sequence."""

    ids: Tensor
    """[U] token ids, `PATCH` where the vision tower's tokens go."""
    labels: Tensor
    """[U] the next id where it is a target, else `IGNORED`."""
    positions: Tensor
    """[N] rotary positions."""
    order: Tensor | None
    """[N] place in reading order of each token; None where all tokens are the text expert's."""
    spans: tuple[Span, ...]
    """They cover all tokens in reading order."""
    next: tuple[int, ...]
    """The next position of each conversation."""


@dataclass
class _Token:
    id: int
    label: int
    position: int
    is_latent: bool


def pack(conversations: Sequence[Sequence[Element]], special: SpecialTokens) -> Packed:
    """Lay out conversations one after the other; tokens attend to their own conversation only."""
    tokens: list[_Token] = []
    next_positions = []
    spans: list[Span] = []

    for elements in conversations:
        spans += _spans(elements, len(tokens))
        position = 0
        for element in elements:
            tokens += _tokens(element, special, position)
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
        order=torch.tensor(order, dtype=torch.long) if len(text) < len(tokens) else None,
        spans=tuple(spans),
        next=tuple(next_positions),
    )


def _spans(elements: Sequence[Element], first: int) -> list[Span]:
    """Spans of one conversation whose first token is number `first`."""
    spans: list[Span] = []
    visible: list[slice] = []  # earlier elements that later ones attend to; adjacent ones are one slice

    for element in elements:
        own = slice(first, first + element.length)
        first = own.stop
        keys = _extended(visible, own)
        is_text = element.kind == "text"

        # Adjacent texts are one causal call: the earlier text's queries do not see the later one's keys.
        if is_text and spans and spans[-1].is_causal:
            own = slice(spans.pop().queries.start, own.stop)
        spans.append(Span(queries=own, keys=tuple(keys), is_causal=is_text))
        if element.kind != "noisy":
            visible = keys
    return spans


def _extended(slices: Sequence[slice], new: slice) -> list[slice]:
    """The slices with one more; it is merged into the last if it follows at once."""
    if slices and slices[-1].stop == new.start:
        return [*slices[:-1], slice(slices[-1].start, new.stop)]
    return [*slices, new]


def _tokens(element: Element, special: SpecialTokens, position: int) -> list[_Token]:
    """The tokens of one element, in reading order."""
    if element.kind == "text":
        labels = (*element.ids[1:], IGNORED) if element.has_loss else (IGNORED,) * len(element.ids)
        made = []
        for i, (id, label) in enumerate(zip(element.ids, labels, strict=True)):
            made.append(_Token(id, label, position + i, is_latent=False))
        return made

    start, end = (_Token(id, IGNORED, position, False) for id in (special.vision_start, special.vision_end))
    inside = _Token(PATCH, IGNORED, position, is_latent=element.kind != "seen")
    return [start, *[inside] * element.tokens, end]
