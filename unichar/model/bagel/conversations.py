"""Conversations as what the decoder reads: elements, and the pixels of the pictures among them."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from unichar.kit.images import load_picture
from unichar.model.bagel.packing import Element
from unichar.model.bagel.pictures import Sizing
from unichar.model.bagel.tokenizer import BagelTokenizer
from unichar.model.protocol import Turn
from unichar.types import Segment

PACKED_TOKENS = 8192
"""Conversations of up to this many tokens in all go through the decoder together."""


def from_segments(segments: Sequence[Segment], folder: Path, size: int) -> list[Turn]:
    """An interaction with its pictures read from `folder`, as the square ones of `size` pixels that are also drawn."""
    return [
        Turn(role=s.role, image=load_picture(folder / s.value, size))
        if s.type == "image"
        else Turn(role=s.role, text=s.value)
        for s in segments
    ]


def as_elements(
    turns: Sequence[Turn], words: BagelTokenizer, sizing: Sizing, *, learned: Sequence[bool] | None = None
) -> tuple[list[Element], list[Tensor]]:
    """One element a turn, and the pixels [3, H, W] of its pictures; `learned` says of which turns the words are."""
    pictures = sum(turn.image is not None for turn in turns)
    elements: list[Element] = []
    seen: list[Tensor] = []
    for turn, loss in zip(turns, learned or [False] * len(turns), strict=True):
        if turn.image is None:
            elements.append(words.text(turn.text, learned=loss))
        else:
            seen.append(sizing.pixels(turn.image, pictures=pictures))
            elements.append(Element(kind="seen", tokens=seen[-1][0].numel() // sizing.stride**2))
    return elements, seen


def together(lengths: Sequence[int]) -> list[list[int]]:
    """Neighbours of at most `PACKED_TOKENS` together; one that is longer stands alone."""
    groups: list[list[int]] = []
    room = 0
    for row, length in enumerate(lengths):
        if length > room or not groups:
            groups.append([])
            room = PACKED_TOKENS
        groups[-1].append(row)
        room -= length
    return groups
