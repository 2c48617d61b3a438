"""The decoder: two complete transformers, one for what is read and written and one for what is drawn, that share one attention.

Letters: B rows, N tokens, D width, H query heads, K key/value heads, E head size, S places that are looked at.

Which expert a token goes through is a matter of its kind, not learned: words, picture markers and seen patches take the text
expert, latent tokens the generation expert. Attention does not see the order of its tokens, only their positions and who may look
at whom, so tokens stand grouped by expert and nothing is scattered: `decode([und, gen], [words, latents], ...)`. With one
expert it is a plain Qwen2 with norms on queries and keys.

Attention is PyTorch's `scaled_dot_product_attention`, which takes its fused kernels on a GPU; every query head gets a copy of its
key/value head, because the kernel that knows masks knows no groups. A prompt's keys and values are kept once and repeated for
its pictures one layer at a time.
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
"""Keys, already rotated, and values of one layer, each [B, K, N, E]."""


class RmsNorm(nn.Module):
    """Root mean square norm in fp32, cast back before the weight."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        y = x.float()
        return self.weight * (y * torch.rsqrt(y.square().mean(-1, keepdim=True) + self.eps)).to(x.dtype)


class Attention(nn.Module):
    """Projections of one expert; the attention itself is shared, see `decode`."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        width, self.size = config.hidden_size, config.head_size
        kv_width = config.num_key_value_heads * self.size
        self.q_proj = nn.Linear(width, width)
        self.k_proj, self.v_proj = nn.Linear(width, kv_width), nn.Linear(width, kv_width)
        self.o_proj = nn.Linear(width, width, bias=False)
        self.q_norm, self.k_norm = (
            RmsNorm(self.size, config.rms_norm_eps),
            RmsNorm(self.size, config.rms_norm_eps),
        )

    def project(self, x_bnd: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries [B, H, N, E], keys and values [B, K, N, E], before rotation."""
        q, k, v = (
            linear(x_bnd).unflatten(-1, (-1, self.size)) for linear in (self.q_proj, self.k_proj, self.v_proj)
        )
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
    """One layer of one expert. It is called twice, since the attention between is shared; always called, so that hooks fire."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.input_layernorm = RmsNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RmsNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = Mlp(config)

    def forward(self, x_bnd: Tensor, mixed_bnd: Tensor | None = None) -> tuple[Tensor, ...]:
        """(queries, keys, values) of `x_bnd`; with what attention made of them, (the layer's output,)."""
        if mixed_bnd is None:
            return self.self_attn.project(self.input_layernorm(x_bnd))
        x_bnd = x_bnd + self.self_attn.o_proj(mixed_bnd)
        return (x_bnd + self.mlp(self.post_attention_layernorm(x_bnd)),)


class Expert(nn.Module):
    """The layers of one expert and its last norm."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        self.checkpointing = True
        """Layers of a decoder this size keep 30 GB a picture otherwise."""
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.norm = RmsNorm(config.hidden_size, config.rms_norm_eps)


class TextExpert(Expert):
    """Reads and writes: words, picture markers, seen patches."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    def activation_checkpointing_enable(self, options: Mapping[str, Any] | None = None) -> None:
        """What trainers call; on from the start here."""
        self.checkpointing = True


def decode(
    experts: Sequence[Expert],
    parts: Sequence[Tensor],
    positions_bn: Tensor,
    *,
    mask: Tensor | None = None,
    past: Sequence[KeysValues] | None = None,
    keep: bool = False,
    recompute: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> tuple[list[Tensor], list[KeysValues]]:
    """Run tokens through the layers.

    Under gradients each layer keeps its input only and is run again on the way back, inside `recompute`; unless the first expert
    has `checkpointing` off.

    Args:
        experts: One or two.
        parts: What each of them gets, [B, its tokens, D]; N in all.
        positions_bn: Rotary positions of all tokens, in the same order.
        mask: True where a token may look, [B or 1, 1, N, S], S the places of `past` and then the N; None for everywhere.
        past: Keys and values of every layer to look at as well, [B, ...], or one row for several neighbouring rows here.
        keep: Return the keys and values of the N tokens.

    Returns:
        Hidden states of every part after its expert's last norm, and what `keep` asks for, layer by layer.
    """
    config = experts[0].config
    rotation = _rotation(positions_bn, config, parts[0].dtype)
    fresh: list[KeysValues] = []

    def run(index: int, *xs: Tensor) -> tuple[Tensor, ...]:
        layers = [expert.layers[index] for expert in experts]
        projected = [layer(x) for layer, x in zip(layers, xs, strict=True)]
        q, k, v = (torch.cat(each, dim=2) for each in zip(*projected, strict=True))
        q, k = _rotated(q, rotation), _rotated(k, rotation)
        mixed = _attend(q, k, v, mask, past[index] if past is not None else None)
        each = mixed.split([x.shape[1] for x in xs], dim=1)
        return k, v, *(layer(x, m)[0] for layer, x, m in zip(layers, xs, each, strict=True))

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), recompute()

    for index in range(config.num_hidden_layers):
        if torch.is_grad_enabled() and experts[0].checkpointing:
            k, v, *parts = checkpoint(
                run, index, *parts, use_reentrant=False, preserve_rng_state=False, context_fn=contexts
            )
        else:
            k, v, *parts = run(index, *parts)
        if keep:
            fresh.append((k, v))
    return [expert.norm(part) for expert, part in zip(experts, parts, strict=True)], fresh


def _attend(
    q_bhne: Tensor, k_bkne: Tensor, v_bkne: Tensor, mask: Tensor | None, past: KeysValues | None
) -> Tensor:
    """[B, N, H * E]"""
    if past is not None:
        each = len(q_bhne) // len(past[0])
        before = [tensor.repeat_interleave(each, dim=0) if each > 1 else tensor for tensor in past]
        k_bkne, v_bkne = torch.cat([before[0], k_bkne], dim=2), torch.cat([before[1], v_bkne], dim=2)
    per_kv = q_bhne.shape[1] // k_bkne.shape[1]
    k_bhse, v_bhse = k_bkne.repeat_interleave(per_kv, dim=1), v_bkne.repeat_interleave(per_kv, dim=1)
    return F.scaled_dot_product_attention(q_bhne, k_bhse, v_bhse, attn_mask=mask).transpose(1, 2).flatten(2)


def _rotation(positions_bn: Tensor, config: TextConfig, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosines and sines [B, 1, N, E], half-rotation layout; computed in fp32."""
    size = config.head_size
    steps = torch.arange(0, size, 2, dtype=torch.float32, device=positions_bn.device)
    angles = positions_bn[:, None, :, None].float() * (1.0 / config.rope_theta ** (steps / size))
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos().to(dtype), angles.sin().to(dtype)


def _rotated(x_bhne: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    cos, sin = rotation
    first, second = x_bhne.chunk(2, dim=-1)
    return x_bhne * cos + torch.cat([-second, first], dim=-1) * sin
