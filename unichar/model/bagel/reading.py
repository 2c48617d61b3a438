"""Reads packed conversations: texts, seen and clean pictures become embeddings and go through the decoder.

Shape letters: U tokens of the text expert, N tokens, D width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from unichar.model.bagel.attention import KeysValues, within
from unichar.model.bagel.decoder import Expert, TextExpert, run_experts
from unichar.model.bagel.decoding import finite
from unichar.model.bagel.generation import GenerationExpert, to_tokens
from unichar.model.bagel.packing import PATCH, Packed
from unichar.model.bagel.vision import ImageEncoder


def read_packed(
    experts: tuple[TextExpert, GenerationExpert],
    vision: ImageEncoder,
    packed: Packed,
    seen: Sequence[Tensor] = (),
    latents: Sequence[Tensor] = (),
    *,
    keep: bool = False,
) -> tuple[list[Tensor], list[KeysValues]]:
    """Hidden states [1, tokens, D] of each expert that has tokens, and, with `keep`, keys and values.

    Args:
        experts: For text and for latents.
        vision: Makes tokens of seen pictures.
        packed: The layout.
        seen: Pixels [3, H, W] of the seen pictures.
        latents: Latents [16, h, w] of the clean ones, without noise.
        keep: Return keys and values of every layer.

    Raises:
        UserError: The vision tower produces NaN.
    """
    und, gen = experts
    device = und.embed_tokens.weight.device

    embedded = und.embed_tokens(packed.ids.clamp(min=0).to(device))  # [U, D]
    if seen:
        patches = torch.cat([vision(pixels.to(device)) for pixels in seen])  # [patches, D]
        finite(patches, "the vision tower (vit_model, connector) makes NaN of a picture")
        is_patch = (packed.ids == PATCH)[:, None].to(device)
        embedded = embedded.masked_scatter(is_patch, patches.to(embedded.dtype))

    used: list[Expert] = [und]
    inputs = [embedded[None]]
    if latents:
        t = torch.zeros(1, device=device)  # clean latents are at time 0
        clean = []
        for each in latents:
            grid = each.shape[-2] // 2, each.shape[-1] // 2
            clean.append(gen.embed(to_tokens(each[None].to(device)), t, grid))
        used.append(gen)
        inputs.append(torch.cat(clean, dim=1))

    order = packed.order.to(device) if packed.order is not None else None
    positions = packed.positions[None].to(device)
    return run_experts(used, inputs, positions, within(packed.spans, order), keep=keep)
