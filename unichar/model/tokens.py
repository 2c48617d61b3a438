"""Renders conversations as token ids with their loss mask.

Every message is `<|im_start|>role\\n text <|im_end|>\\n`, the chat template of SmolLM2-Instruct. A picture is
a run of `IMAGE` placeholders inside its message, replaced by the connector's tokens. The loss covers the text
of segments that ask for it and the `<|im_end|>` after it, so that the model also learns to stop. Special
tokens within a text are tokenized as ordinary text.

Shape letters: B conversations, L tokens of the longest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from unichar.types import Segment

IMAGE = -1
"""Placeholder among ids: a token that the connector makes of a picture."""
IGNORED = -100
"""Among labels: no loss; the default `ignore_index` of PyTorch's cross-entropy."""


@dataclass(frozen=True, kw_only=True)
class TokenSequence:
    """One conversation as tokens: `ids[i]` is a target where `loss[i]`; `images` in order of their
    placeholders.
    """

    ids: list[int]
    loss: list[bool]
    images: list[str]


@dataclass(frozen=True, kw_only=True)
class TokenBatch:
    """Right-padded sequences: ids [B, L] with IMAGE placeholders, labels [B, L] with IGNORED, mask [B, L]."""

    ids: Tensor
    labels: Tensor
    mask: Tensor
    images: list[str]


def render(
    segments: Sequence[Segment],
    tokenizer: PreTrainedTokenizerBase,
    *,
    image_tokens: int,
    open_reply: bool = False,
) -> TokenSequence:
    """Tokens of one conversation; `open_reply` appends the start of an assistant message to be generated."""
    ids: list[int] = []
    loss: list[bool] = []
    images: list[str] = []

    def add(text: str, has_loss: bool, *, is_content: bool = False) -> None:
        tokens = tokenizer(text, add_special_tokens=False, split_special_tokens=is_content)["input_ids"]
        ids.extend(tokens)
        loss.extend([has_loss] * len(tokens))

    for role, message in groupby(segments, key=lambda segment: segment.role):
        add(f"<|im_start|>{role}\n", False)
        has_loss = False
        for segment in message:
            if segment.type == "image":
                ids.extend([IMAGE] * image_tokens)
                loss.extend([False] * image_tokens)
                images.append(segment.value)
            else:
                add(segment.value, segment.loss, is_content=True)
                has_loss = segment.loss

        # The end token is a target if the last text before it is.
        add("<|im_end|>", has_loss)
        add("\n", False)

    if open_reply:
        add("<|im_start|>assistant\n", False)
    return TokenSequence(ids=ids, loss=loss, images=images)


def collate(sequences: Sequence[TokenSequence], *, pad: int) -> TokenBatch:
    """Pad to the longest.

    The label at i is the token at i where it carries a loss; the model shifts by one.
    """
    longest = max(len(sequence.ids) for sequence in sequences)
    ids = torch.full((len(sequences), longest), pad)
    labels = torch.full((len(sequences), longest), IGNORED)
    mask = torch.zeros((len(sequences), longest), dtype=torch.bool)

    for row, sequence in enumerate(sequences):
        length = len(sequence.ids)
        tokens = torch.tensor(sequence.ids)
        ids[row, :length] = tokens
        labels[row, :length] = torch.where(torch.tensor(sequence.loss), tokens, IGNORED)
        mask[row, :length] = True

    images = [image for sequence in sequences for image in sequence.images]
    return TokenBatch(ids=ids, labels=labels, mask=mask, images=images)
