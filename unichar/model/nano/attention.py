"""Attention over packed sequences (`unichar.model.packing`) in blocks, registered as an attention function of
transformers.

Each block of queries meets its keys in plain matrix products. On CPUs this beats the fused kernel, whose
backward pass alone takes five times as long and which does not skip masked keys. Without `blocks` the
backbone uses SDPA as usual.

Shape letters: T tokens of the packed sequence, Q queries of a block, L keys of a block, K kv heads, G query
heads per kv head, E head size.
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


def use_block_attention(model: PreTrainedModel) -> None:
    """Make the model accept `blocks=` in its forward pass; a 4-D attention mask passed too is ignored."""
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
    """Attention function of transformers: query, key, value [1, heads, T, E] -> [1, T, heads, E]."""
    if blocks is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)

    attended = _BlockAttention.apply(query[0] * scaling, key[0], value[0], blocks)
    return attended[None], None


class _BlockAttention(torch.autograd.Function):
    """q [K * G, T, E] already scaled, k and v [K, T, E] -> [T, K * G, E]."""

    @staticmethod
    def forward(ctx: FunctionCtx, q: Tensor, k: Tensor, v: Tensor, blocks: Sequence[Block]) -> Tensor:
        out = torch.empty_like(q.transpose(0, 1), memory_format=torch.contiguous_format)  # [T, K * G, E]
        weights = []

        for block in blocks:
            q_b, k_b, v_b = _select(q, k, v, block)
            scores = torch.bmm(q_b, k_b.transpose(1, 2))  # [K, G * Q, L]
            by_head = scores.view(len(k), -1, *block.hidden.shape)  # [K, G, Q, L]
            by_head.masked_fill_(block.hidden, -torch.inf)
            weights.append(scores.softmax(-1).to(scores.dtype))  # fp32 under autocast on CUDA

            mixed = torch.bmm(weights[-1], v_b).view(len(q), -1, q.shape[-1])  # [K * G, Q, E]
            out[block.start : block.end] = mixed.transpose(0, 1)

        ctx.save_for_backward(q, k, v, *weights)
        ctx.blocks = blocks  # type: ignore[attr-defined]
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        q, k, v, *weights = ctx.saved_tensors
        d_q = torch.empty_like(q)
        # In fp32, since the gradient of a shared token is a sum over all blocks that attend to it.
        d_k = torch.zeros_like(k, dtype=torch.float32)
        d_v = torch.zeros_like(v, dtype=torch.float32)

        for block, weight in zip(ctx.blocks, weights, strict=True):
            q_b, k_b, v_b = _select(q, k, v, block)
            d_out = grad[block.start : block.end].transpose(0, 1).reshape(q_b.shape)  # [K, G * Q, E]
            d_v.index_add_(1, block.keys, torch.bmm(weight.transpose(1, 2), d_out).float())

            d_weight = torch.bmm(d_out, v_b.transpose(1, 2))  # [K, G * Q, L]
            d_scores = torch._softmax_backward_data(d_weight, weight, -1, weight.dtype)
            d_q_b = torch.bmm(d_scores, k_b).view(len(q), -1, q.shape[-1])  # [K * G, Q, E]
            d_q[:, block.start : block.end] = d_q_b
            d_k.index_add_(1, block.keys, torch.bmm(d_scores.transpose(1, 2), q_b).float())

        return d_q, d_k.to(k.dtype), d_v.to(v.dtype), None


def _select(q: Tensor, k: Tensor, v: Tensor, block: Block) -> tuple[Tensor, Tensor, Tensor]:
    """Queries [K, G * Q, E], keys and values [K, L, E] of one block."""
    q_b = q[:, block.start : block.end].reshape(len(k), -1, q.shape[-1])  # [K, G * Q, E]
    return q_b, k.index_select(1, block.keys), v.index_select(1, block.keys)
