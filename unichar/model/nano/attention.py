"""Attention over packed rows (`unichar.model.packing`), block by block, as one of the backbone's attention functions.

Each block of queries meets the keys it sees in plain matrix products. On CPUs that beats the fused kernel, whose backward pass
alone takes five times as long and which can not skip what a mask hides. Without `blocks` the backbone attends as it always did.

Letters: T tokens of the row, Q queries of a block, L tokens they see, K kv heads, G query heads a kv head, E head size.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from unichar.model.packing import Block

NAME = "sdpa_or_blocks"


def attend_by_blocks(model: PreTrainedModel) -> None:
    """From now on the model takes `blocks=` in its forward pass, and any 4-D attention mask beside it, which is not looked at."""
    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float,
    blocks: Sequence[Block] | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """What transformers asks of an attention function: heads second in, heads third out."""
    if blocks is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    attended = _BlockAttention.apply(query[0] * scaling, key[0], value[0], blocks)
    return attended[None], None


class _BlockAttention(torch.autograd.Function):
    """q [K * G, T, E] already scaled, k and v [K, T, E] -> [T, K * G, E]."""

    @staticmethod
    def forward(ctx: FunctionCtx, q: Tensor, k: Tensor, v: Tensor, blocks: Sequence[Block]) -> Tensor:
        out = torch.empty_like(q.transpose(0, 1), memory_format=torch.contiguous_format)
        weights = []
        for block in blocks:
            q_b, k_b, v_b = _cut(q, k, v, block)
            scores = torch.bmm(q_b, k_b.transpose(1, 2))
            scores.view(len(k), -1, *block.hidden.shape).masked_fill_(block.hidden, -torch.inf)
            weights.append(scores.softmax(-1))
            out[block.start : block.end] = (
                torch.bmm(weights[-1], v_b).view(len(q), -1, q.shape[-1]).transpose(0, 1)
            )
        ctx.save_for_backward(q, k, v, *weights)
        ctx.blocks = blocks  # type: ignore[attr-defined]
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        q, k, v, *weights = ctx.saved_tensors
        # In fp32, since a shared token's gradient is the sum over all blocks that see it.
        d_q, d_k, d_v = (
            torch.empty_like(q),
            torch.zeros_like(k, dtype=torch.float32),
            torch.zeros_like(v, dtype=torch.float32),
        )
        for block, weight in zip(ctx.blocks, weights, strict=True):
            q_b, k_b, v_b = _cut(q, k, v, block)
            d_out = grad[block.start : block.end].transpose(0, 1).reshape(q_b.shape)
            d_v.index_add_(1, block.seen, torch.bmm(weight.transpose(1, 2), d_out).float())
            d_weight = torch.bmm(d_out, v_b.transpose(1, 2))
            d_scores = torch._softmax_backward_data(d_weight, weight, -1, weight.dtype)
            d_q[:, block.start : block.end] = torch.bmm(d_scores, k_b).view(len(q), -1, q.shape[-1])
            d_k.index_add_(1, block.seen, torch.bmm(d_scores.transpose(1, 2), q_b).float())
        return d_q, d_k.to(k.dtype), d_v.to(v.dtype), None


def _cut(q: Tensor, k: Tensor, v: Tensor, block: Block) -> tuple[Tensor, Tensor, Tensor]:
    """[K, G * Q, E], [K, L, E] and [K, L, E] of one block."""
    q_b = q[:, block.start : block.end].reshape(len(k), -1, q.shape[-1])
    return q_b, k.index_select(1, block.seen), v.index_select(1, block.seen)
