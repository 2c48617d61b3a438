"""Converts conversations into the elements the decoder packs, with the pixels of their pictures."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from unichar.errors import UserError
from unichar.kit.images import load_picture
from unichar.model.bagel.packing import Element
from unichar.model.bagel.pictures import Sizing
from unichar.model.bagel.tokenizer import BagelTokenizer
from unichar.model.protocol import Turn
from unichar.types import Segment

PACKED_TOKENS = 8192
"""Conversations with at most this many tokens in total go through the decoder together."""


def from_segments(segments: Sequence[Segment], folder: Path, size: int) -> list[Turn]:
    """The turns of an interaction; its pictures are loaded from `folder` as squares of `size` pixels."""
    turns = []
    for segment in segments:
        if segment.type == "image":
            turns.append(Turn(role=segment.role, image=load_picture(folder / segment.value, size)))
        else:
            turns.append(Turn(role=segment.role, text=segment.value))
    return turns


def as_elements(
    turns: Sequence[Turn],
    tokenizer: BagelTokenizer,
    sizing: Sizing,
    *,
    has_loss: Sequence[bool] | None = None,
) -> tuple[list[Element], list[Tensor]]:
    """One element per turn, and the pixels [3, H, W] of its pictures.

    `has_loss` says which turns' text is trained on; none by default.
    """
    pictures = sum(turn.image is not None for turn in turns)
    elements: list[Element] = []
    seen: list[Tensor] = []

    for turn, loss in zip(turns, has_loss or [False] * len(turns), strict=True):
        if turn.image is None:
            elements.append(tokenizer.text(turn.text, has_loss=loss))
        else:
            seen.append(sizing.pixels(turn.image, pictures=pictures))
            elements.append(Element(kind="seen", tokens=seen[-1][0].numel() // sizing.stride**2))
    return elements, seen


def check_length(elements: Sequence[Element], tokenizer: BagelTokenizer, limit: int) -> None:
    """Check that a conversation fits the decoder's context of `limit` tokens.

    Raises:
        UserError: It does not.
    """
    length = sum(element.length for element in elements)
    if length <= limit:
        return

    ids = [id for element in elements for id in element.ids]
    raise UserError(
        f"the text starting {tokenizer.decode(ids[:20])[:60]!r} has {length} tokens, BAGEL reads at most "
        f"{limit}: shorten it"
    )


def check_reply(number: int, length: int, max_tokens: int, limit: int) -> None:
    """Check that conversation `number` of `length` tokens and its reply fit the decoder's context.

    Raises:
        UserError: They do not.
    """
    if length + max_tokens > limit:
        raise UserError(
            f"conversation {number} (counted from 0) has {length} tokens and its reply up to {max_tokens} "
            f"more, BAGEL holds {limit}: shorten the history or the texts in it"
        )


def group_by_length(lengths: Sequence[int]) -> list[list[int]]:
    """Neighbours with at most `PACKED_TOKENS` tokens in total, by index; a longer one stands alone."""
    groups: list[list[int]] = []
    remaining = 0
    for index, length in enumerate(lengths):
        if length > remaining or not groups:
            groups.append([])
            remaining = PACKED_TOKENS
        groups[-1].append(index)
        remaining -= length
    return groups
