"""The nano generation expert: a narrow transformer over latent patches that reads the backbone's keys and values.

Letters: P prompts, G pictures a prompt, B = P x G pictures, N image tokens, L context tokens, D width, K kv heads,
Q query heads a kv head, E head size, C latent channels.

As in BAGEL's mixture of transformers, image tokens and text tokens meet in one softmax, routed by kind and not learned.
What differs, to learn in an hour on two cores what BAGEL learns on a cluster:
- it is attached to every third backbone layer only, and is narrower than the backbone;
- text keys come with their rotary position taken out, and pass a small linear map: which word says "teal" matters to a
  picture, how far away it stands does not. (All image tokens share one position in BAGEL too.)
- time modulates each layer (one shared map, one learned offset a layer) instead of only being added to the tokens.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unichar.model.nano.config import NanoConfig
from unichar.model.nano.vae import LATENT_CHANNELS

PATCH = 2


@dataclass(frozen=True)
class TextContext:
    """Keys and values of P prompts, computed once and shared by all pictures of each prompt.

    keys, values: one [P, K, L, E] tensor an attached backbone layer; mask: [P, L], True where there is a token.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    mask: Tensor

    def select(self, rows: Tensor) -> "TextContext":
        """The prompts at `rows` (repeats allowed), cut to the longest of them."""
        mask = self.mask[rows]
        longest = int(mask.sum(dim=1).max())
        return TextContext(
            tuple(k[rows][:, :, :longest] for k in self.keys),
            tuple(v[rows][:, :, :longest] for v in self.values),
            mask[:, :longest],
        )


def pad_context(context: TextContext, length: int) -> TextContext:
    """The context with its token axis padded to `length` (masked), so that compiled code sees one shape.

    Raises:
        ValueError: A prompt is longer than `length`.
    """
    missing = length - context.mask.shape[1]
    if missing < 0:
        raise ValueError(f"a prompt has {context.mask.shape[1]} tokens, at most {length} fit here")
    return TextContext(
        tuple(F.pad(k, (0, 0, 0, missing)) for k in context.keys),
        tuple(F.pad(v, (0, 0, 0, missing)) for v in context.values),
        F.pad(context.mask, (0, missing)),
    )


def join_contexts(contexts: list[TextContext]) -> TextContext:
    """One context with the prompts of all, padded to the longest."""
    longest = max(c.mask.shape[1] for c in contexts)
    padded = [pad_context(c, longest) for c in contexts]
    layers = range(len(contexts[0].keys))
    return TextContext(
        tuple(torch.cat([c.keys[i] for c in padded]) for i in layers),
        tuple(torch.cat([c.values[i] for c in padded]) for i in layers),
        torch.cat([c.mask for c in padded]),
    )


class RmsNorm(nn.Module):
    """Root mean square norm in fp32, cast back before the weight."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        y = x.float()
        return (y * torch.rsqrt(y.square().mean(-1, keepdim=True) + 1e-6)).to(x.dtype) * self.weight.to(
            x.dtype
        )


class ExpertLayer(nn.Module):
    """Joint attention over [context, image tokens] and a SwiGLU, both modulated by time."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        width, self.heads, self.kv, self.size = (
            config.expert_width,
            config.expert_heads,
            config.kv_heads,
            config.head_dim,
        )
        kv_width = self.kv * self.size
        self.norm1, self.norm2 = RmsNorm(width), RmsNorm(width)
        self.q_proj = nn.Linear(width, self.heads * self.size, bias=False)
        self.k_proj = nn.Linear(width, kv_width, bias=False)
        self.v_proj = nn.Linear(width, kv_width, bias=False)
        self.o_proj = nn.Linear(self.heads * self.size, width, bias=False)
        self.text_k_proj = nn.Linear(kv_width, kv_width, bias=False)
        self.text_v_proj = nn.Linear(kv_width, kv_width, bias=False)
        self.q_norm, self.k_norm, self.text_k_norm = (
            RmsNorm(self.size),
            RmsNorm(self.size),
            RmsNorm(self.size),
        )
        self.text_v_norm = RmsNorm(kv_width)
        self.gate_proj = nn.Linear(width, config.expert_mlp, bias=False)
        self.up_proj = nn.Linear(width, config.expert_mlp, bias=False)
        self.down_proj = nn.Linear(config.expert_mlp, width, bias=False)
        self.modulation = nn.Parameter(torch.zeros(6, width))

    def forward(self, x_bnd: Tensor, time_b6d: Tensor, text: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = (
            (time_b6d + self.modulation).to(x_bnd.dtype).unsqueeze(2).unbind(1)
        )
        h = self.norm1(x_bnd) * (1 + scale1) + shift1
        x_bnd = x_bnd + (1 + gate1) * self._attend(h, *text)
        h = self.norm2(x_bnd) * (1 + scale2) + shift2
        return x_bnd + (1 + gate2) * self.down_proj(F.silu(self.gate_proj(h)) * self.up_proj(h))

    def _text(self, keys_pkle: Tensor, values_pkle: Tensor) -> tuple[Tensor, Tensor]:
        """Context keys and values as this layer sees them, each [P, K, L, E]."""
        p, k, length, e = keys_pkle.shape
        keys = self.text_k_proj(keys_pkle.transpose(1, 2).reshape(p, length, k * e)).view(p, length, k, e)
        values = self.text_v_proj(
            self.text_v_norm(values_pkle.transpose(1, 2).reshape(p, length, k * e))
        ).view(p, length, k, e)
        return self.text_k_norm(keys).transpose(1, 2), values.transpose(1, 2)

    def _attend(self, h_bnd: Tensor, keys_pkle: Tensor, values_pkle: Tensor, mask_pl: Tensor) -> Tensor:
        b, n, _ = h_bnd.shape
        p, length = mask_pl.shape
        per_kv = self.heads // self.kv
        q = self.q_norm(self.q_proj(h_bnd).view(b, n, self.kv, per_kv, self.size))
        q = (q.permute(0, 2, 3, 1, 4) * self.size**-0.5).reshape(b, self.kv, per_kv * n, self.size)
        k = self.k_norm(self.k_proj(h_bnd).view(b, n, self.kv, self.size)).transpose(1, 2)
        v = self.v_proj(h_bnd).view(b, n, self.kv, self.size).transpose(1, 2)
        text_k, text_v = self._text(keys_pkle, values_pkle)
        # Pictures of one prompt fold into the query axis, so the prompt's keys and values are never copied.
        folded = (
            q.view(p, b // p, self.kv, per_kv * n, self.size)
            .transpose(1, 2)
            .reshape(p, self.kv, -1, self.size)
        )
        text_scores = (folded @ text_k.transpose(2, 3)).masked_fill(~mask_pl[:, None, None], -1e4)
        text_scores = (
            text_scores.view(p, self.kv, b // p, per_kv * n, length)
            .transpose(1, 2)
            .reshape(b, self.kv, -1, length)
        )
        weights = torch.cat([text_scores, q @ k.transpose(2, 3)], dim=-1).float().softmax(-1).to(v.dtype)
        text_weights = weights[..., :length].reshape(p, b // p, self.kv, per_kv * n, length).transpose(1, 2)
        from_text = text_weights.reshape(p, self.kv, -1, length) @ text_v
        from_text = (
            from_text.view(p, self.kv, b // p, per_kv * n, self.size)
            .transpose(1, 2)
            .reshape(b, self.kv, -1, self.size)
        )
        mixed = from_text + weights[..., length:] @ v
        mixed = mixed.view(b, self.kv, per_kv, n, self.size).permute(0, 3, 1, 2, 4).reshape(b, n, -1)
        return self.o_proj(mixed)


class GenerationExpert(nn.Module):
    """Velocity of noisy latents given prompts: v = eps - x0, x_t = (1 - t) x0 + t eps, t in [0, 1] (method of BAGEL)."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        width = config.expert_width
        self.side = config.latent_side // PATCH
        self.latent_in = nn.Linear(LATENT_CHANNELS * PATCH**2, width)
        self.time_in = nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width))
        modulate = nn.Linear(width, 6 * width)
        self.time_out = nn.Sequential(nn.SiLU(), modulate)
        self.position = nn.Parameter(_sincos_table(self.side, width))
        self.layers = nn.ModuleList(ExpertLayer(config) for _ in config.attached)
        self.norm = RmsNorm(width)
        self.latent_out = nn.Linear(width, LATENT_CHANNELS * PATCH**2)
        for linear in (modulate, self.latent_out):
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, latents_bchw: Tensor, t_b: Tensor, context: TextContext) -> Tensor:
        """Velocity [B, C, h, w] at time `t_b` [B]; pictures of one prompt stand together, in the order of the prompts."""
        b = latents_bchw.shape[0]
        tokens = F.pixel_unshuffle(latents_bchw, PATCH).flatten(2).transpose(1, 2)
        time = self.time_in(timestep_features(t_b))
        x = self.latent_in(tokens) + self.position + time.unsqueeze(1)
        modulation = self.time_out(time).view(b, 6, -1)
        for layer, keys, values in zip(self.layers, context.keys, context.values, strict=True):
            x = layer(x, modulation, (keys, values, context.mask))
        out = self.latent_out(self.norm(x)).transpose(1, 2).reshape(b, -1, self.side, self.side)
        return F.pixel_shuffle(out, PATCH).float()


def timestep_features(t_b: Tensor) -> Tensor:
    """[B, 256] features of t in [0, 1]: [cos | sin] of t f_k, f_k = exp(-ln(10000) k / 128), t scaled by 1000 to use them all."""
    frequencies = torch.exp(-math.log(10000) * torch.arange(128, dtype=torch.float32) / 128)
    angles = 1000 * t_b.float()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def _sincos_table(side: int, width: int) -> Tensor:
    """[side * side, width]: first half of the channels encodes the column, second half the row; unit amplitude."""
    w = 10000 ** (-torch.arange(width // 4, dtype=torch.float32) / (width // 4))
    angles = torch.arange(side, dtype=torch.float32)[:, None] * w
    one = torch.cat([angles.sin(), angles.cos()], dim=1)
    columns = one.repeat(side, 1)
    rows = one.repeat_interleave(side, dim=0)
    return torch.cat([columns, rows], dim=1)


def unrotate(keys_pkle: Tensor, theta: float) -> Tensor:
    """Take the rotary position out of cached keys [P, K, L, E] whose positions are 0..L-1 (half-rotation layout)."""
    length, size = keys_pkle.shape[2], keys_pkle.shape[3]
    frequencies = theta ** (-torch.arange(0, size, 2, dtype=torch.float32) / size)
    angles = torch.arange(length, dtype=torch.float32)[:, None] * frequencies
    cos, sin = angles.cos(), angles.sin()
    first, second = keys_pkle.float().chunk(2, dim=-1)
    return torch.cat([first * cos + second * sin, second * cos - first * sin], dim=-1)
