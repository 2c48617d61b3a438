"""Which tokens attend to which, as calls of PyTorch's fused attention that need no mask.

Shape letters: B sequences, N tokens, H query heads, K key/value heads, E head size, L cached positions, S
positions attended to.

Flash attention takes fewer key/value heads than query heads, but no mask. So a batch is attended to in groups
of sequences that share a cached prompt (`after`), and packed conversations in spans of queries whose keys are
a few slices (`within`). `decoding.py` has the third form, one token of each of several replies.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention.bias import causal_lower_right

from unichar.model.bagel.packing import Span

KeysValues = tuple[Tensor, Tensor]
"""(keys, already rotated; values) of one layer, each [B, N, K, E]."""

Past = tuple[KeysValues, ...]
"""Cached keys and values of every layer of one conversation, each [1, L, K, E]."""

Attend = Callable[[int, Tensor, Sequence[Tensor], Sequence[Tensor]], Tensor]
"""(layer, queries [B, N, H, E], keys and values of each expert's tokens [B, its tokens, K, E]) -> the
attention's result [B, N, H, E]."""


def after(groups: Sequence[tuple[Past, int]]) -> Attend:
    """Every token attends to all tokens of its sequence and to a cached conversation before it.

    Args:
        groups: Cached conversations, each with the number of adjacent sequences that follow it; B in total.
    """

    def attend(layer: int, q: Tensor, k: Sequence[Tensor], v: Sequence[Tensor]) -> Tensor:
        mixed = []
        first = 0
        for past, count in groups:
            rows = slice(first, first + count)
            first += count

            # One copy each: a cached prompt is expanded, not repeated, and joined with both experts' tokens.
            keys, values = (
                torch.cat([cached.expand(count, -1, -1, -1), *(each[rows] for each in new)], dim=1)
                for cached, new in zip(past[layer], (k, v), strict=True)
            )  # [count, S, K, E]
            mixed.append(attention(q[rows], keys, values))
        return joined(mixed, dim=0)

    return attend


def within(spans: Sequence[Span], order: Tensor | None = None) -> Attend:
    """Packed conversations: the queries of every span attend to the keys it names.

    Args:
        spans: They cover all N tokens in reading order.
        order: [N] place in reading order of each token; None where tokens are in reading order.
    """
    reading = order.argsort() if order is not None else None

    def attend(layer: int, q: Tensor, k: Sequence[Tensor], v: Sequence[Tensor]) -> Tensor:
        q, keys, values = (
            each if reading is None else each[:, reading] for each in (q, joined(k, dim=1), joined(v, dim=1))
        )  # [B, N, heads, E] in reading order

        mixed = []
        for span in spans:
            seen = (joined([each[:, part] for part in span.keys], dim=1) for each in (keys, values))
            mixed.append(attention(q[:, span.queries], *seen, is_causal=span.is_causal))

        out = joined(mixed, dim=1)
        return out if order is None else out[:, order]

    return attend


def attention(q_bnhe: Tensor, k_bske: Tensor, v_bske: Tensor, *, is_causal: bool = False) -> Tensor:
    """[B, N, H, E]; causal attention is aligned at the end, so the last query sees all S keys."""
    q, k, v = (each.transpose(1, 2) for each in (q_bnhe, k_bske, v_bske))
    queries, keys = q.shape[2], k.shape[2]

    # `is_causal` is aligned at the start, which is the same for as many queries as keys. The bias is a flag
    # of the flash kernel; only where that kernel is missing (CPU, fp32) it becomes a mask.
    bias = causal_lower_right(queries, keys) if is_causal and queries < keys else None
    square = is_causal and queries == keys
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, is_causal=square, enable_gqa=True)
    return mixed.transpose(1, 2)


def joined(tensors: Sequence[Tensor], dim: int) -> Tensor:
    """Concatenated; a single tensor is not copied."""
    return tensors[0] if len(tensors) == 1 else torch.cat(list(tensors), dim=dim)
