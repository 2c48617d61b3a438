"""Elements of conversations laid out as one sequence: where each token stands, which expert it takes, whom it may look at.

Letters: U tokens of the text expert, G of the generation expert, N = U + G, standing in this order (see `decoder.py`).

| element | tokens | looks at its own | positions |
|---|---|---|---|
| `text` | its ids, with begin and end | past | one each |
| `seen`: patches for the tower | start, patches, end | all | one for all |
| `clean`: latents to look at | start, latents, end | all | one for all |
| `noisy`: latents to draw | start, latents, end | all; others see none of it | one for all, which comes again after it |

Everything looks at all earlier elements of its own conversation. Markers of pictures are words to the decoder.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

PATCH = -1
"""Among ids: a token that the tower makes."""
IGNORED = -100
"""Among labels: nothing to learn."""


@dataclass(frozen=True, kw_only=True)
class Markers:
    """Ids of the four control tokens."""

    begin: int
    end: int
    start_picture: int
    end_picture: int


@dataclass(frozen=True, kw_only=True)
class Element:
    """A text by its `ids`, control tokens included, or a picture by its number of tokens."""

    kind: Literal["text", "seen", "clean", "noisy"]
    ids: tuple[int, ...] = ()
    tokens: int = 0
    learned: bool = False
    """Whether each id of a text is to be predicted from those before it."""


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A laid out sequence."""

    ids: Tensor
    """[U] with `PATCH` where the tower's tokens go."""
    labels: Tensor
    """[U] the next id where it is to be learned, else `IGNORED`."""
    positions: Tensor
    """[N]"""
    mask: Tensor
    """[N, N], True where row may look at column."""
    next: tuple[int, ...]
    """The position after each conversation."""


@dataclass
class _Token:
    id: int
    label: int
    position: int
    conversation: int
    element: int
    kind: str
    is_drawn: bool


def pack(conversations: Sequence[Sequence[Element]], markers: Markers) -> Packed:
    """Lay out conversations behind one another; none sees another."""
    rows: list[_Token] = []
    after = []
    count = 0
    for number, elements in enumerate(conversations):
        position = 0
        for element in elements:
            rows += _tokens(element, markers, position, number, count)
            count += 1
            position += len(element.ids) if element.kind == "text" else int(element.kind != "noisy")
        after.append(position)
    order = sorted(range(len(rows)), key=lambda place: rows[place].is_drawn)
    grouped = [rows[place] for place in order]
    words = [row for row in grouped if not row.is_drawn]
    return Packed(
        ids=torch.tensor([row.id for row in words], dtype=torch.long),
        labels=torch.tensor([row.label for row in words], dtype=torch.long),
        positions=torch.tensor([row.position for row in grouped], dtype=torch.long),
        mask=_mask(grouped, torch.tensor(order, dtype=torch.long)),
        next=tuple(after),
    )


def _tokens(element: Element, markers: Markers, position: int, conversation: int, count: int) -> list[_Token]:
    def token(id: int, label: int = IGNORED, at: int = position, drawn: bool = False) -> _Token:
        return _Token(id, label, at, conversation, count, element.kind, drawn)

    if element.kind == "text":
        labels = (*element.ids[1:], IGNORED) if element.learned else (IGNORED,) * len(element.ids)
        return [
            token(id, label, position + i)
            for i, (id, label) in enumerate(zip(element.ids, labels, strict=True))
        ]
    inside = [token(PATCH, drawn=element.kind != "seen") for _ in range(element.tokens)]
    return [token(markers.start_picture), *inside, token(markers.end_picture)]


def _mask(rows: Sequence[_Token], place: Tensor) -> Tensor:
    conversation, element = (
        torch.tensor([getattr(row, name) for row in rows]) for name in ("conversation", "element")
    )
    is_text, is_noisy = (
        torch.tensor([row.kind == kind for row in rows], dtype=torch.bool) for kind in ("text", "noisy")
    )
    same = element[:, None] == element
    reached = (place[:, None] >= place) | (same & ~is_text)
    return (conversation[:, None] == conversation) & reached & (same | ~is_noisy)
