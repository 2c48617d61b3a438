"""The nano generation expert: a narrow transformer over latent patches that attends to the backbone's keys.

Shape letters: P prompts, G pictures per prompt, B = P x G pictures, N image tokens, L context tokens, D
width, K kv heads, Q query heads per kv head, E head size, C latent channels, h/w latent cells, S side of the
token grid.

As in BAGEL's mixture of transformers, one softmax runs over image and text tokens; tokens are routed by
modality, the routing is not learned. Departures from BAGEL, so that two CPU cores learn it in an hour:
- it attends to every third backbone layer only, and is narrower than the backbone;
- the rotary position is removed from the text keys, which then pass a small linear map: a picture depends on
  which word says "teal", not on how far away the word stands (in BAGEL, too, all image tokens share one
  position);
- time modulates each layer (one shared map plus a learned offset per layer) instead of only being added to
  the tokens.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unichar.errors import UserError
from unichar.model.nano.config import NanoConfig

PATCH = 2


@dataclass(frozen=True)
class TextContext:
    """Keys and values of P prompts, computed once and shared by all pictures of each prompt.

    Attributes:
        keys: One [P, K, L, E] tensor per attached backbone layer, rotary positions removed.
        values: One [P, K, L, E] tensor per attached backbone layer.
        mask: [P, L] bool, True where there is a token.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    mask: Tensor

    def select(self, indices: Tensor) -> "TextContext":
        """The prompts at `indices` (repeats allowed), truncated to the longest of them."""
        indices = indices.to(self.mask.device)
        mask = self.mask[indices]
        longest = int(mask.sum(dim=1).max())

        return TextContext(
            tuple(k[indices][:, :, :longest] for k in self.keys),
            tuple(v[indices][:, :, :longest] for v in self.values),
            mask[:, :longest],
        )


def pad_context(context: TextContext, length: int) -> TextContext:
    """Pad the token axis to `length`; padding is masked. Compiled code then sees one shape.

    Raises:
        UserError: A prompt is longer than `length`.
    """
    missing = length - context.mask.shape[1]
    if missing < 0:
        raise UserError(f"a prompt has {context.mask.shape[1]} tokens, at most {length} fit here")

    return TextContext(
        tuple(F.pad(k, (0, 0, 0, missing)) for k in context.keys),
        tuple(F.pad(v, (0, 0, 0, missing)) for v in context.values),
        F.pad(context.mask, (0, missing)),
    )


def join_contexts(contexts: list[TextContext]) -> TextContext:
    """Concatenate the prompts of several contexts, padded to the longest."""
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
        normed = y * torch.rsqrt(y.square().mean(-1, keepdim=True) + 1e-6)
        return normed.to(x.dtype) * self.weight.to(x.dtype)


class ExpertLayer(nn.Module):
    """Joint attention over [context, image tokens] and a SwiGLU, both modulated by time."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        width, self.heads, self.kv = config.expert_width, config.expert_heads, config.kv_heads
        self.size = config.head_dim
        kv_width = self.kv * self.size

        # Image tokens.
        self.norm1, self.norm2 = RmsNorm(width), RmsNorm(width)
        self.q_proj = nn.Linear(width, self.heads * self.size, bias=False)
        self.k_proj = nn.Linear(width, kv_width, bias=False)
        self.v_proj = nn.Linear(width, kv_width, bias=False)
        self.o_proj = nn.Linear(self.heads * self.size, width, bias=False)

        # The backbone's keys and values, mapped into this layer.
        self.text_k_proj = nn.Linear(kv_width, kv_width, bias=False)
        self.text_v_proj = nn.Linear(kv_width, kv_width, bias=False)
        self.q_norm, self.k_norm = RmsNorm(self.size), RmsNorm(self.size)
        self.text_k_norm = RmsNorm(self.size)
        self.text_v_norm = RmsNorm(kv_width)

        self.gate_proj = nn.Linear(width, config.expert_mlp, bias=False)
        self.up_proj = nn.Linear(width, config.expert_mlp, bias=False)
        self.down_proj = nn.Linear(config.expert_mlp, width, bias=False)

        # Shift, scale and gate of attention and of the SwiGLU; zero, so that every layer starts alike.
        self.modulation = nn.Parameter(torch.zeros(6, width))

    def forward(self, x_bnd: Tensor, time_b6d: Tensor, text: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """[B, N, D]. `text` is (keys [P, K, L, E], values [P, K, L, E], mask [P, L]) of a backbone layer."""
        modulation = (time_b6d + self.modulation).to(x_bnd.dtype).unsqueeze(2)  # [B, 6, 1, D]
        shift1, scale1, gate1, shift2, scale2, gate2 = modulation.unbind(1)  # [B, 1, D] each

        h = self.norm1(x_bnd) * (1 + scale1) + shift1
        x_bnd = x_bnd + (1 + gate1) * self._attend(h, *text)

        h = self.norm2(x_bnd) * (1 + scale2) + shift2
        return x_bnd + (1 + gate2) * self.down_proj(F.silu(self.gate_proj(h)) * self.up_proj(h))

    def _map_text(self, keys_pkle: Tensor, values_pkle: Tensor) -> tuple[Tensor, Tensor]:
        """The context's keys and values mapped into this layer, each [P, K, L, E]."""
        p, k, length, e = keys_pkle.shape
        keys = keys_pkle.transpose(1, 2).reshape(p, length, k * e)  # [P, L, K * E]
        values = values_pkle.transpose(1, 2).reshape(p, length, k * e)  # [P, L, K * E]

        keys = self.text_k_proj(keys).view(p, length, k, e)  # [P, L, K, E]
        values = self.text_v_proj(self.text_v_norm(values)).view(p, length, k, e)  # [P, L, K, E]

        # The key norm is per head, the value norm above is over all heads together.
        return self.text_k_norm(keys).transpose(1, 2), values.transpose(1, 2)  # [P, K, L, E]

    def _attend(self, h_bnd: Tensor, keys_pkle: Tensor, values_pkle: Tensor, mask_pl: Tensor) -> Tensor:
        """[B, N, D]. A prompt's pictures fold into the query axis, so its keys and values are not copied."""
        b, n, _ = h_bnd.shape
        p, length = mask_pl.shape
        g, per_kv = b // p, self.heads // self.kv

        # Queries of one kv head stand together, since they meet the same keys.
        q = self.q_norm(self.q_proj(h_bnd).view(b, n, self.kv, per_kv, self.size))  # [B, N, K, Q, E]
        q = q.permute(0, 2, 3, 1, 4) * self.size**-0.5  # [B, K, Q, N, E]
        q = q.reshape(b, self.kv, per_kv * n, self.size)  # [B, K, Q * N, E]
        k = self.k_norm(self.k_proj(h_bnd).view(b, n, self.kv, self.size)).transpose(1, 2)  # [B, K, N, E]
        v = self.v_proj(h_bnd).view(b, n, self.kv, self.size).transpose(1, 2)  # [B, K, N, E]
        text_k, text_v = self._map_text(keys_pkle, values_pkle)  # [P, K, L, E]

        # Scores with the prompt: fold G pictures into the queries, multiply once per prompt, unfold.
        folded = q.view(p, g, self.kv, per_kv * n, self.size).transpose(1, 2)  # [P, K, G, Q * N, E]
        folded = folded.reshape(p, self.kv, -1, self.size)  # [P, K, G * Q * N, E]
        text_scores = folded @ text_k.transpose(2, 3)  # [P, K, G * Q * N, L]
        text_scores = text_scores.masked_fill(~mask_pl[:, None, None], -1e4)
        text_scores = text_scores.view(p, self.kv, g, per_kv * n, length)  # [P, K, G, Q * N, L]
        text_scores = text_scores.transpose(1, 2).reshape(b, self.kv, -1, length)  # [B, K, Q * N, L]

        # One softmax over text and image tokens, in fp32.
        scores = torch.cat([text_scores, q @ k.transpose(2, 3)], dim=-1)  # [B, K, Q * N, L + N]
        weights = scores.float().softmax(-1).to(v.dtype)

        # Values of the prompt, folded in the same way, then those of the image tokens.
        text_weights = weights[..., :length].reshape(p, g, self.kv, per_kv * n, length)  # [P, G, K, Q * N, L]
        text_weights = text_weights.transpose(1, 2).reshape(p, self.kv, -1, length)  # [P, K, G * Q * N, L]
        from_text = text_weights @ text_v  # [P, K, G * Q * N, E]
        from_text = from_text.view(p, self.kv, g, per_kv * n, self.size)  # [P, K, G, Q * N, E]
        from_text = from_text.transpose(1, 2).reshape(b, self.kv, -1, self.size)  # [B, K, Q * N, E]
        mixed = from_text + weights[..., length:] @ v

        mixed = mixed.view(b, self.kv, per_kv, n, self.size).permute(0, 3, 1, 2, 4)  # [B, N, K, Q, E]
        return self.o_proj(mixed.reshape(b, n, -1))  # [B, N, D]


class GenerationExpert(nn.Module):
    """Predicts the velocity of noisy latents given prompts: v = eps - x0, x_t = (1 - t) x0 + t eps."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        width = config.expert_width
        self.side = config.latent_side // PATCH
        self.latent_in = nn.Linear(config.latent_channels * PATCH**2, width)
        self.time_in = nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width))
        modulate = nn.Linear(width, 6 * width)
        self.time_out = nn.Sequential(nn.SiLU(), modulate)
        self.position = nn.Parameter(_sincos_table(self.side, width))
        self.layers = nn.ModuleList(ExpertLayer(config) for _ in config.attached)
        self.norm = RmsNorm(width)
        self.latent_out = nn.Linear(width, config.latent_channels * PATCH**2)

        # A fresh expert predicts zero, and its layers are not modulated yet.
        for linear in (modulate, self.latent_out):
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, latents_bchw: Tensor, t_b: Tensor, context: TextContext) -> Tensor:
        """Velocity of noisy latents.

        Args:
            latents_bchw: x_t, [B, C, h, w]; the G pictures of a prompt are adjacent, in the order of the
                prompts.
            t_b: Times in [0, 1], [B].
            context: Of P prompts.

        Returns:
            v, [B, C, h, w] fp32.
        """
        b = latents_bchw.shape[0]
        patches = F.pixel_unshuffle(latents_bchw, PATCH)  # [B, 4 * C, S, S]
        tokens = patches.flatten(2).transpose(1, 2)  # [B, N, 4 * C]

        time = self.time_in(timestep_features(t_b))  # [B, D]
        x = self.latent_in(tokens) + self.position + time.unsqueeze(1)  # [B, N, D]
        modulation = self.time_out(time).view(b, 6, -1)  # [B, 6, D]

        for layer, keys, values in zip(self.layers, context.keys, context.values, strict=True):
            x = layer(x, modulation, (keys, values, context.mask))

        out = self.latent_out(self.norm(x)).transpose(1, 2)  # [B, 4 * C, N]
        out = out.reshape(b, -1, self.side, self.side)  # [B, 4 * C, S, S]
        return F.pixel_shuffle(out, PATCH).float()  # [B, C, h, w]


def timestep_features(t_b: Tensor) -> Tensor:
    """[B, 256] sinusoidal features [cos | sin] of 1000 t f_k, f_k = exp(-ln(10000) k / 128), for t in [0, 1].

    The factor 1000 makes use of all frequencies.
    """
    steps = torch.arange(128, dtype=torch.float32, device=t_b.device)
    frequencies = torch.exp(-math.log(10000) * steps / 128)
    angles = 1000 * t_b.float()[:, None] * frequencies  # [B, 128]
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def _sincos_table(side: int, width: int) -> Tensor:
    """[side * side, width]: half of the channels encode the column, the other half the row; amplitude 1."""
    w = 10000 ** (-torch.arange(width // 4, dtype=torch.float32) / (width // 4))
    angles = torch.arange(side, dtype=torch.float32)[:, None] * w
    one_axis = torch.cat([angles.sin(), angles.cos()], dim=1)  # [side, width / 2]

    columns = one_axis.repeat(side, 1)  # [side * side, width / 2]
    rows = one_axis.repeat_interleave(side, dim=0)  # [side * side, width / 2]
    return torch.cat([columns, rows], dim=1)


def unrotate(keys_pkle: Tensor, theta: float) -> Tensor:
    """Remove the rotary position from cached keys [P, K, L, E] at positions 0..L-1 (half-rotation layout)."""
    length, size, device = keys_pkle.shape[2], keys_pkle.shape[3], keys_pkle.device
    frequencies = theta ** (-torch.arange(0, size, 2, dtype=torch.float32, device=device) / size)
    angles = torch.arange(length, dtype=torch.float32, device=device)[:, None] * frequencies  # [L, E / 2]
    cos, sin = angles.cos(), angles.sin()

    # The inverse of a rotation by `angles` is the rotation by `-angles`.
    first, second = keys_pkle.float().chunk(2, dim=-1)
    return torch.cat([first * cos + second * sin, second * cos - first * sin], dim=-1)
