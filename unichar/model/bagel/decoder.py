"""The decoder: two complete transformers, one for understanding and one for generation, that share attention
(BAGEL).

Shape letters: B sequences, N tokens, D width, H query heads, K key/value heads, E head size, S positions
attended to.

A token is routed to an expert by its kind, routing is not learned: text, image markers and patches of seen
pictures go through the text expert, latent tokens through the generation expert. Attention depends on
positions and mask only, not on the order of tokens, so tokens are grouped by expert and nothing is scattered:
`run_experts([und, gen], [text, latents], ...)`. With one expert it is a plain Qwen2 with norms on queries and
keys.

Attention is PyTorch's `scaled_dot_product_attention`, which uses its fused kernels on a GPU; every query head
gets a copy of its key/value head, because the kernel that supports masks does not support grouped heads. A
prompt's keys and values are stored once and repeated for its pictures one layer at a time.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from unichar.model.bagel.config import TextConfig

KeysValues = tuple[Tensor, Tensor]
"""(keys, already rotated; values) of one layer, each [B, K, N, E]."""


class RmsNorm(nn.Module):
    """Root mean square norm in fp32, cast back before the weight."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        y = x.float()
        normed = y * torch.rsqrt(y.square().mean(-1, keepdim=True) + self.eps)
        return self.weight * normed.to(x.dtype)


class Attention(nn.Module):
    """Projections of one expert; the attention itself is shared, see `run_experts`."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        width, self.size = config.hidden_size, config.head_size
        kv_width = config.num_key_value_heads * self.size

        self.q_proj = nn.Linear(width, width)
        self.k_proj, self.v_proj = nn.Linear(width, kv_width), nn.Linear(width, kv_width)
        self.o_proj = nn.Linear(width, width, bias=False)
        self.q_norm = RmsNorm(self.size, config.rms_norm_eps)
        self.k_norm = RmsNorm(self.size, config.rms_norm_eps)

    def project(self, x_bnd: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries [B, H, N, E], keys and values [B, K, N, E], before rotation."""
        q = self.q_proj(x_bnd).unflatten(-1, (-1, self.size))  # [B, N, H, E]
        k = self.k_proj(x_bnd).unflatten(-1, (-1, self.size))  # [B, N, K, E]
        v = self.v_proj(x_bnd).unflatten(-1, (-1, self.size))  # [B, N, K, E]
        return self.q_norm(q).transpose(1, 2), self.k_norm(k).transpose(1, 2), v.transpose(1, 2)


class Mlp(nn.Module):
    """SwiGLU."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """One layer of one expert, called once before and once after the shared attention.

    It is always called as a module, so that FSDP's hooks run.
    """

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.input_layernorm = RmsNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RmsNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = Mlp(config)

    def forward(self, x_bnd: Tensor, mixed_bnd: Tensor | None = None) -> tuple[Tensor, ...]:
        """(queries, keys, values) of `x_bnd`; given the attention's result `mixed_bnd`, (the layer's
        output,).
        """
        if mixed_bnd is None:
            return self.self_attn.project(self.input_layernorm(x_bnd))

        x_bnd = x_bnd + self.self_attn.o_proj(mixed_bnd)
        return (x_bnd + self.mlp(self.post_attention_layernorm(x_bnd)),)


class Expert(nn.Module):
    """The layers of one expert and its final norm."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        self.checkpointing = True
        """Activation checkpointing; without it a decoder of this size keeps 30 GB per picture."""
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.norm = RmsNorm(config.hidden_size, config.rms_norm_eps)


class TextExpert(Expert):
    """Expert of text, image markers and patches of seen pictures."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    def activation_checkpointing_enable(self, options: Mapping[str, Any] | None = None) -> None:
        """Trainers call this; checkpointing is on by default here."""
        self.checkpointing = True


def run_experts(
    experts: Sequence[Expert],
    inputs: Sequence[Tensor],
    positions_bn: Tensor,
    *,
    mask: Tensor | None = None,
    past: Sequence[KeysValues] | None = None,
    keep: bool = False,
    recompute: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> tuple[list[Tensor], list[KeysValues]]:
    """Run tokens through the layers.

    With gradients enabled, each layer is checkpointed and recomputed in the backward pass inside `recompute`,
    unless the first expert has `checkpointing` off.

    Args:
        experts: One or two.
        inputs: Embedded tokens of each expert, [B, its tokens, D]; N in total.
        positions_bn: Rotary positions of all tokens, in the same order.
        mask: True where a token may attend, [B or 1, 1, N, S], S the positions of `past` followed by the N
            tokens; None for no mask.
        past: Cached keys and values of every layer, [B, ...], or fewer rows, each shared by several adjacent
            sequences.
        keep: Return the keys and values of the N tokens.

    Returns:
        Hidden states of each expert's tokens after its final norm, and, with `keep`, keys and values of every
        layer.
    """
    config = experts[0].config
    rotation = _rotation(positions_bn, config, inputs[0].dtype)
    hidden = list(inputs)
    kept: list[KeysValues] = []

    def run(index: int, *xs: Tensor) -> tuple[Tensor, ...]:
        """One layer: (keys, values, the output of each expert)."""
        layers = [expert.layers[index] for expert in experts]
        projected = [layer(x) for layer, x in zip(layers, xs, strict=True)]

        # Concatenated over experts, so that all tokens share one attention.
        q, k, v = (torch.cat(each, dim=2) for each in zip(*projected, strict=True))
        q, k = _rotated(q, rotation), _rotated(k, rotation)
        mixed = _attend(q, k, v, mask, past[index] if past is not None else None)  # [B, N, H * E]

        outputs = []
        for layer, x, own in zip(layers, xs, mixed.split([x.shape[1] for x in xs], dim=1), strict=True):
            outputs.append(layer(x, own)[0])
        return k, v, *outputs

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), recompute()

    for index in range(config.num_hidden_layers):
        if torch.is_grad_enabled() and experts[0].checkpointing:
            k, v, *hidden = checkpoint(
                run, index, *hidden, use_reentrant=False, preserve_rng_state=False, context_fn=contexts
            )
        else:
            k, v, *hidden = run(index, *hidden)
        if keep:
            kept.append((k, v))

    return [expert.norm(x) for expert, x in zip(experts, hidden, strict=True)], kept


def _attend(
    q_bhne: Tensor, k_bkne: Tensor, v_bkne: Tensor, mask: Tensor | None, past: KeysValues | None
) -> Tensor:
    """[B, N, H * E]; `past` has B rows, or fewer that are each shared by several adjacent sequences."""
    if past is not None:
        repeats = len(q_bhne) // len(past[0])
        cached = [tensor.repeat_interleave(repeats, dim=0) if repeats > 1 else tensor for tensor in past]
        k_bkne = torch.cat([cached[0], k_bkne], dim=2)  # [B, K, S, E]
        v_bkne = torch.cat([cached[1], v_bkne], dim=2)  # [B, K, S, E]

    per_kv = q_bhne.shape[1] // k_bkne.shape[1]
    k_bhse = k_bkne.repeat_interleave(per_kv, dim=1)
    v_bhse = v_bkne.repeat_interleave(per_kv, dim=1)

    mixed = F.scaled_dot_product_attention(q_bhne, k_bhse, v_bhse, attn_mask=mask)  # [B, H, N, E]
    return mixed.transpose(1, 2).flatten(2)


def _rotation(positions_bn: Tensor, config: TextConfig, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """(cosines, sines) [B, 1, N, E] of rotary positions, half-rotation layout; computed in fp32."""
    size = config.head_size
    steps = torch.arange(0, size, 2, dtype=torch.float32, device=positions_bn.device)
    angles = positions_bn[:, None, :, None].float() * (1.0 / config.rope_theta ** (steps / size))
    angles = torch.cat([angles, angles], dim=-1)  # [B, 1, N, E]
    return angles.cos().to(dtype), angles.sin().to(dtype)


def _rotated(x_bhne: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Apply rotary positions, half-rotation layout."""
    cos, sin = rotation
    first, second = x_bhne.chunk(2, dim=-1)
    return x_bhne * cos + torch.cat([-second, first], dim=-1) * sin
