"""The decoder's KV cache of conversations, which replies and pictures are generated from.

Shape letters: P conversations, L cached positions, K key/value heads, E head size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from unichar.model.bagel.config import TextConfig
from unichar.model.bagel.decoder import KeysValues


@dataclass(frozen=True)
class Context:
    """Cached keys and values of P conversations, padded to the longest.

    Attributes:
        past: (keys, values) of every layer, [P, K, L, E] each.
        mask: [P, L], True where there is a token.
        position: [P], the next rotary position.
    """

    past: tuple[KeysValues, ...]
    mask: Tensor
    position: Tensor

    def __len__(self) -> int:
        return len(self.mask)

    def select(self, index: int) -> "Context":
        """One conversation without its padding; is a view into this context."""
        length = int(self.mask[index].sum())
        one = slice(index, index + 1)
        past = tuple((k[one, :, :length], v[one, :, :length]) for k, v in self.past)
        return Context(past, self.mask[one, :length], self.position[one])

    def extended(self, new: Sequence[KeysValues], position: Tensor) -> "Context":
        """The context with tokens appended to every conversation, none of which may be padded."""
        past = []
        for (k, v), (new_k, new_v) in zip(self.past, new, strict=True):
            past.append((torch.cat([k, new_k], dim=2), torch.cat([v, new_v], dim=2)))
        mask = F.pad(self.mask, (0, new[0][0].shape[2]), value=True)
        return Context(tuple(past), mask, position)

    def mask_for(self, batch: int, tokens: int) -> Tensor | None:
        """Attention mask [batch, 1, 1, L + tokens] for `tokens` new tokens; None where nothing is masked.

        `batch` is a multiple of P; the sequences that continue one conversation are adjacent.
        """
        if bool(self.mask.all()):
            return None
        mask = self.mask.repeat_interleave(batch // len(self), dim=0)  # [batch, L]
        return F.pad(mask, (0, tokens), value=True)[:, None, None]


def empty_context(config: TextConfig, like: Tensor) -> Context:
    """Context of one conversation without tokens, of the type and on the device of `like`."""
    shape = (1, config.num_key_value_heads, 0, config.head_size)
    empty = torch.empty(shape, dtype=like.dtype, device=like.device)

    position = torch.zeros(1, dtype=torch.long, device=like.device)
    mask = position.new_empty((1, 0), dtype=torch.bool)
    return Context(((empty, empty),) * config.num_hidden_layers, mask, position)


def join_contexts(contexts: Sequence[Context]) -> Context:
    """Concatenate the conversations of several contexts, padded to the longest."""
    longest = max(context.mask.shape[1] for context in contexts)

    def padded(tensor_pkle: Tensor) -> Tensor:
        return F.pad(tensor_pkle, (0, 0, 0, longest - tensor_pkle.shape[2]))

    past = []
    for layer in zip(*(context.past for context in contexts), strict=True):
        keys = torch.cat([padded(k) for k, _ in layer])
        values = torch.cat([padded(v) for _, v in layer])
        past.append((keys, values))

    masks = [F.pad(context.mask, (0, longest - context.mask.shape[1])) for context in contexts]
    return Context(tuple(past), torch.cat(masks), torch.cat([context.position for context in contexts]))
