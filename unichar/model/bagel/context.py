"""What the decoder keeps of conversations it has read: keys and values that replies and pictures go on from.

Letters: P conversations, L places, K key/value heads, E head size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from unichar.model.bagel.decoder import KeysValues


@dataclass(frozen=True)
class Context:
    """P conversations, padded to the longest.

    past: keys and values of every layer, [P, K, L, E] each; mask: [P, L], True where there is a token; position: [P] the rotary
    position that comes next.
    """

    past: tuple[KeysValues, ...]
    mask: Tensor
    position: Tensor

    def __len__(self) -> int:
        return len(self.mask)

    def select(self, row: int) -> "Context":
        """One conversation without its padding, sharing memory with this."""
        length = int(self.mask[row].sum())
        past = tuple((k[row : row + 1, :, :length], v[row : row + 1, :, :length]) for k, v in self.past)
        return Context(past, self.mask[row : row + 1, :length], self.position[row : row + 1])

    def extended(self, fresh: Sequence[KeysValues], position: Tensor) -> "Context":
        """With tokens added to every conversation; for those without padding."""
        past = tuple(
            (torch.cat([k, new_k], dim=2), torch.cat([v, new_v], dim=2))
            for (k, v), (new_k, new_v) in zip(self.past, fresh, strict=True)
        )
        return Context(past, F.pad(self.mask, (0, fresh[0][0].shape[2]), value=True), position)

    def mask_for(self, rows: int, tokens: int) -> Tensor | None:
        """[rows, 1, 1, L + tokens] for `rows` neighbours, several of which go on from each conversation; None: all see all."""
        if bool(self.mask.all()):
            return None
        mask = self.mask.repeat_interleave(rows // len(self), dim=0)
        return F.pad(mask, (0, tokens), value=True)[:, None, None]


def join(contexts: Sequence[Context]) -> Context:
    """One context with the conversations of all."""
    longest = max(context.mask.shape[1] for context in contexts)

    def padded(tensor: Tensor) -> Tensor:
        return F.pad(tensor, (0, 0, 0, longest - tensor.shape[2]))

    past = tuple(
        (torch.cat([padded(k) for k, _ in layer]), torch.cat([padded(v) for _, v in layer]))
        for layer in zip(*(context.past for context in contexts), strict=True)
    )
    masks = [F.pad(context.mask, (0, longest - context.mask.shape[1])) for context in contexts]
    return Context(past, torch.cat(masks), torch.cat([context.position for context in contexts]))
