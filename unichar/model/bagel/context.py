"""The decoder's KV cache of conversations, which replies and pictures are generated from.

Shape letters: P conversations, L cached positions, K key/value heads, E head size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from unichar.model.bagel.attention import Past
from unichar.model.bagel.config import TextConfig


@dataclass(frozen=True)
class Context:
    """Cached keys and values of P conversations, each as long as it is: nothing is padded.

    Attributes:
        pasts: Of each conversation, (keys, values) of every layer, [1, L, K, E] each.
        position: [P], the next rotary position.
    """

    pasts: tuple[Past, ...]
    position: Tensor

    def __len__(self) -> int:
        return len(self.pasts)

    def select(self, rows: slice) -> "Context":
        """Some of the conversations."""
        return Context(self.pasts[rows], self.position[rows])

    def per_picture(self, pictures: int) -> "Context":
        """One row per picture; `pictures` is a multiple of P, those of one conversation are adjacent."""
        each = pictures // len(self)
        pasts = tuple(past for past in self.pasts for _ in range(each))
        return Context(pasts, self.position.repeat_interleave(each))

    def groups(self) -> list[tuple[Past, int]]:
        """Each conversation once, with the number of adjacent rows that share its cache."""
        runs = []
        for _, same in groupby(self.pasts, key=id):
            rows = list(same)
            runs.append((rows[0], len(rows)))
        return runs


def empty_context(config: TextConfig, like: Tensor) -> Context:
    """Context of one conversation without tokens, of the type and on the device of `like`."""
    shape = (1, 0, config.num_key_value_heads, config.head_size)
    empty = torch.empty(shape, dtype=like.dtype, device=like.device)
    position = torch.zeros(1, dtype=torch.long, device=like.device)
    return Context((((empty, empty),) * config.num_hidden_layers,), position)


def join_contexts(contexts: Sequence[Context]) -> Context:
    """The conversations of several contexts, one after the other; no keys or values are copied."""
    pasts = tuple(past for context in contexts for past in context.pasts)
    return Context(pasts, torch.cat([context.position for context in contexts]))
