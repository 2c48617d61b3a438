"""The decoder: two complete transformers, one for understanding and one for generation, that share attention
(BAGEL).

Shape letters: B sequences, N tokens, D width, H query heads, K key/value heads, E head size.

A token is routed to an expert by its kind, routing is not learned: text, image markers and patches of seen
pictures go through the text expert, latent tokens through the generation expert. Attention depends on
positions and on who may attend to whom, not on the order of tokens, so tokens are grouped by expert and
nothing is scattered: `run_experts([und, gen], [text, latents], ...)`. With one expert it is a plain Qwen2
with norms on queries and keys. The caller says who attends to whom: see `attention.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from unichar.model.bagel.attention import Attend, KeysValues, joined
from unichar.model.bagel.config import TextConfig


class RmsNorm(nn.Module):
    """Root mean square norm in fp32, cast back before the weight."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * F.rms_norm(x, x.shape[-1:], eps=self.eps)


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
        """Queries [B, N, H, E], keys and values [B, N, K, E], before rotation."""
        q = self.q_proj(x_bnd).unflatten(-1, (-1, self.size))  # [B, N, H, E]
        k = self.k_proj(x_bnd).unflatten(-1, (-1, self.size))  # [B, N, K, E]
        v = self.v_proj(x_bnd).unflatten(-1, (-1, self.size))  # [B, N, K, E]
        return self.q_norm(q), self.k_norm(k), v


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
    attend: Attend,
    *,
    keep: bool = False,
) -> tuple[list[Tensor], list[KeysValues]]:
    """Run tokens through the layers.

    With gradients enabled, each layer is checkpointed and recomputed in the backward pass, unless the first
    expert has `checkpointing` off.

    Args:
        experts: One or two.
        inputs: Embedded tokens of each expert, [B, its tokens, D]; N in total.
        positions_bn: Rotary positions of all tokens, in the same order; [B, 1] where a sequence has one.
        attend: Who attends to whom, see `attention.py`. It is called again when a layer is recomputed.
        keep: Return the keys and values of the N tokens.

    Returns:
        Hidden states of each expert's tokens after its final norm, and, with `keep`, keys and values of every
        layer.
    """
    config = experts[0].config
    rotations = _rotations(positions_bn, [x.shape[1] for x in inputs], config, inputs[0].dtype)
    hidden = list(inputs)
    kept: list[KeysValues] = []

    def run(index: int, *xs: Tensor) -> tuple[Tensor, ...]:
        """One layer: the output of each expert and, with `keep`, keys and values."""
        layers = [expert.layers[index] for expert in experts]
        q, k, v = [], [], []
        for layer, x, rotation in zip(layers, xs, rotations, strict=True):
            queries, keys, values = layer(x)
            q.append(_rotated(queries, rotation))
            k.append(_rotated(keys, rotation))
            v.append(values)

        # Queries of all experts share one attention.
        mixed = attend(index, joined(q, dim=1), k, v).flatten(2)  # [B, N, H * E]

        # A view of one picture has the strides of a tensor of its own, as FSDP's hooks make them. Otherwise a
        # layer that is recomputed without these hooks would multiply by other kernels than it did at first.
        outputs = []
        for layer, x, own in zip(layers, xs, mixed.split([x.shape[1] for x in xs], dim=1), strict=True):
            outputs.append(layer(x, own.view(own.shape))[0])
        return (*outputs, joined(k, dim=1), joined(v, dim=1)) if keep else tuple(outputs)

    for index in range(config.num_hidden_layers):
        if torch.is_grad_enabled() and experts[0].checkpointing:
            made = checkpoint(run, index, *hidden, use_reentrant=False, preserve_rng_state=False)
        else:
            made = run(index, *hidden)

        hidden = list(made[: len(experts)])
        if keep:
            kept.append((made[-2], made[-1]))

    return [expert.norm(x) for expert, x in zip(experts, hidden, strict=True)], kept


def _rotations(
    positions_bn: Tensor, counts: Sequence[int], config: TextConfig, dtype: torch.dtype
) -> list[tuple[Tensor, Tensor]]:
    """(cosines, sines) of the rotary positions of each expert's tokens, [B, its tokens or 1, 1, E] each.

    Half-rotation layout; computed in fp32. The first half of the sines is negated, see `_rotated`.
    """
    size = config.head_size
    steps = torch.arange(0, size, 2, dtype=torch.float32, device=positions_bn.device)
    angles = positions_bn[:, :, None, None].float() * (1.0 / config.rope_theta ** (steps / size))
    cos, sin = angles.cos(), angles.sin()  # [B, N, 1, E / 2]

    both = (torch.cat([cos, cos], dim=-1).to(dtype), torch.cat([-sin, sin], dim=-1).to(dtype))
    if positions_bn.shape[1] == 1:
        return [both] * len(counts)
    cosines, sines = (each.split(list(counts), dim=1) for each in both)
    return list(zip(cosines, sines, strict=True))


def _rotated(x_bnhe: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Apply rotary positions, half-rotation layout: x cos + [-second half, first half] sin."""
    cos, sin = rotation
    swapped = x_bnhe.roll(x_bnhe.shape[-1] // 2, dims=-1)  # [second half, first half]
    return torch.addcmul(x_bnhe * cos, swapped, sin)
