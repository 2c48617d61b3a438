"""How large nano and BAGEL-7B-MoT are: what `flops.py` counts with, and their parameters by part, counted without memory.

`parameters` builds each part on PyTorch's meta device, where tensors have a shape and no content; so a plan for BAGEL needs
neither its 29 GB of weights nor a GPU.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from unichar.cost.flops import Matrix, Sizes, Stack
from unichar.model.bagel.autoencoder import BLOCKS, MULTIPLIERS, Autoencoder
from unichar.model.bagel.config import LATENT_CHANNELS, PIXELS, BagelConfig, TextConfig, VisionConfig
from unichar.model.bagel.decoder import TextExpert
from unichar.model.bagel.generation import TOKEN, GenerationExpert
from unichar.model.bagel.pictures import seen_in_training
from unichar.model.bagel.sampling import Guidance
from unichar.model.bagel.vision import ImageEncoder
from unichar.model.nano import vae, vision
from unichar.model.nano.config import NanoConfig
from unichar.model.nano.expert import PATCH
from unichar.model.nano.expert import GenerationExpert as NanoExpert

BAGEL_7B = BagelConfig(
    text=TextConfig(
        hidden_size=3584,
        intermediate_size=18944,
        num_hidden_layers=28,
        num_attention_heads=28,
        num_key_value_heads=4,
        vocab_size=152064,
        max_position_embeddings=32768,
        rope_theta=1e6,
        rms_norm_eps=1e-6,
    ),
    vision=VisionConfig(
        hidden_size=1152,
        intermediate_size=4304,
        num_attention_heads=16,
        num_hidden_layers=27,
        patch_size=14,
        image_size=980,
    ),
)
"""The two configuration files of the published weights."""
SMOLLM2 = LlamaConfig(
    hidden_size=576,
    intermediate_size=1536,
    num_hidden_layers=30,
    num_attention_heads=9,
    num_key_value_heads=3,
    vocab_size=49152,
    tie_word_embeddings=True,
)
"""Nano's backbone, SmolLM2-135M."""


def sizes_of(family: Literal["nano", "bagel"], image_size: int) -> tuple[Sizes, dict[str, int]]:
    """(sizes, part -> parameters) of the models that the line knows; nano has a picture size of its own."""
    if family == "nano":
        return nano_sizes(NanoConfig()), nano_parameters(NanoConfig())
    return bagel_sizes(image_size), bagel_parameters()


def nano_sizes(config: NanoConfig, backbone: LlamaConfig = SMOLLM2) -> Sizes:
    """Nano at its own picture size."""
    assert backbone.num_key_value_heads is not None
    kv, width, sight = config.kv_heads * config.head_dim, config.expert_width, config.vision_width
    numbers, layers = vae.LATENT_CHANNELS * PATCH**2, len(config.attached)
    patches = (config.image_size // 16) ** 2
    entry = [
        (48, 96, config.image_size // 4),
        (96, 128, config.image_size // 8),
        (128, sight, config.image_size // 16),
    ]
    # Only the queries' share of the connector's attention is left out of `connector`: it is 16 queries.
    connector = (
        4.0 * patches * sight**2
        + 2.0 * vision.NUM_TOKENS * (sight + config.backbone_width) * config.backbone_width
    )
    return Sizes(
        name="nano",
        text=Stack(
            layers=backbone.num_hidden_layers,
            width=backbone.hidden_size,
            heads=backbone.num_attention_heads,
            kv_heads=backbone.num_key_value_heads,
            head_size=backbone.hidden_size // backbone.num_attention_heads,
            mlp=backbone.intermediate_size,
        ),
        vocabulary=backbone.vocab_size,
        gen=Stack(
            layers=layers,
            width=width,
            heads=config.expert_heads,
            kv_heads=config.kv_heads,
            head_size=config.head_dim,
            mlp=config.expert_mlp,
        ),
        gen_matrices=(
            Matrix(inputs=numbers, outputs=width, per="token", adapted=True),
            Matrix(inputs=width, outputs=numbers, per="token", adapted=True),
            Matrix(inputs=256, outputs=width, per="picture", adapted=True),
            Matrix(inputs=width, outputs=width, per="picture", adapted=True),
            Matrix(inputs=width, outputs=6 * width, per="picture", adapted=True),
            Matrix(inputs=kv, outputs=kv, per="word", count=2 * layers, adapted=True),
        ),
        tokens=(config.latent_side // PATCH) ** 2,
        markers=0,
        tower=_tower(config.vision_layers, sight, config.vision_heads, 4 * sight),
        tower_entry=sum(_conv(*each) for each in entry),
        patches=patches,
        seen_tokens=vision.NUM_TOKENS,
        connector=connector,
        encode=_nano_encode(config),
        decode=_nano_decode(config),
        recompute=False,
        keeps_contexts=True,
        guided_above=0.0,
    )


def bagel_sizes(image_size: int, config: BagelConfig = BAGEL_7B) -> Sizes:
    """BAGEL with square pictures of `image_size` pixels, drawn and seen."""
    text, sight = config.text, config.vision
    width = text.hidden_size
    stack = Stack(
        layers=text.num_hidden_layers,
        width=width,
        heads=text.num_attention_heads,
        kv_heads=text.num_key_value_heads,
        head_size=text.head_size,
        mlp=text.intermediate_size,
    )
    seen = seen_in_training(sight.patch_size, sight.image_size).fit(image_size, image_size)[0]
    patches = (seen // sight.patch_size) ** 2
    return Sizes(
        name="BAGEL-7B-MoT" if config == BAGEL_7B else "BAGEL",
        text=stack,
        vocabulary=text.vocab_size,
        gen=stack,
        gen_matrices=(
            Matrix(inputs=TOKEN, outputs=width, per="token"),
            Matrix(inputs=width, outputs=TOKEN, per="token"),
            Matrix(inputs=256, outputs=width, per="picture"),
            Matrix(inputs=width, outputs=width, per="picture"),
        ),
        tokens=(image_size // PIXELS) ** 2,
        markers=2,
        tower=_tower(
            sight.used_layers, sight.hidden_size, sight.num_attention_heads, sight.intermediate_size
        ),
        tower_entry=2.0 * patches * 3 * sight.patch_size**2 * sight.hidden_size,
        patches=patches,
        seen_tokens=patches + 2,
        connector=2.0 * patches * (sight.hidden_size + width) * width,
        encode=_flux(config.autoencoder_width, image_size, decoder=False),
        decode=_flux(config.autoencoder_width, image_size, decoder=True),
        recompute=True,
        keeps_contexts=False,
        guided_above=Guidance().interval[0],
    )


def nano_parameters(config: NanoConfig) -> dict[str, int]:
    """Part -> numbers in it, of nano."""
    return _counted(
        {
            "text backbone": lambda: LlamaForCausalLM(SMOLLM2),
            "generation expert": lambda: NanoExpert(config),
            "vision tower": lambda: vision.VisionTower(config),
            "connector": lambda: vision.Connector(config),
            "autoencoder": lambda: vae.Vae(config.vae_widths, config.decoder_blocks),
        }
    )


def bagel_parameters(config: BagelConfig = BAGEL_7B) -> dict[str, int]:
    """Part -> numbers in it, of BAGEL."""
    parts: dict[str, Callable[[], nn.Module]] = {
        "text expert": lambda: TextExpert(config.text),
        "generation expert": lambda: GenerationExpert(config),
        "vision tower": lambda: ImageEncoder(config),
        "autoencoder": lambda: Autoencoder(config.autoencoder_width),
    }
    counted = _counted(parts)
    words = 2 * config.text.vocab_size * config.text.hidden_size
    counted["text expert"] -= words
    return {"word embeddings and head": words, **counted}


def _counted(parts: dict[str, Callable[[], nn.Module]]) -> dict[str, int]:
    with torch.device("meta"):
        return {name: sum(p.numel() for p in build().parameters()) for name, build in parts.items()}


def _tower(layers: int, width: int, heads: int, mlp: int) -> Stack:
    return Stack(
        layers=layers,
        width=width,
        heads=heads,
        kv_heads=heads,
        head_size=width // heads,
        mlp=mlp,
        gated=False,
    )


def _conv(inputs: int, outputs: int, side: int, kernel: int = 3) -> float:
    """Operations of a convolution whose output is `side` x `side`."""
    return 2.0 * inputs * outputs * kernel**2 * side**2


def _nano_encode(config: NanoConfig) -> float:
    (a, b, c), side = config.vae_widths, config.image_size
    convs = [(12, a, side // 2), *[(a, a, side // 2)] * 2, (a, b, side // 4), *[(b, b, side // 4)] * 2]
    convs += [(b, c, side // 8), *[(c, c, side // 8)] * 4, (c, 2 * vae.LATENT_CHANNELS, side // 8)]
    return sum(_conv(*each) for each in convs)


def _nano_decode(config: NanoConfig) -> float:
    (a, b, c), (half, quarter, eighth), side = config.vae_widths, config.decoder_blocks, config.image_size
    convs = [(vae.LATENT_CHANNELS, c, side // 8), *[(c, c, side // 8)] * 2 * eighth, (c, 4 * b, side // 8)]
    convs += [
        *[(b, b, side // 4)] * 2 * quarter,
        (b, 4 * a, side // 4),
        *[(a, a, side // 2)] * 2 * half,
        (a, 12, side // 2),
    ]
    return sum(_conv(*each) for each in convs)


def _flux(width: int, image_size: int, *, decoder: bool) -> float:
    """Residual blocks at four sizes, two more and one attention at the smallest, a convolution at each change of size."""
    widths, sides = [width * m for m in MULTIPLIERS], [image_size // 2**i for i in range(4)]
    low, side, numbers = widths[-1], sides[-1], LATENT_CHANNELS
    total = 4 * _conv(low, low, side) + 4 * _conv(low, low, side, kernel=1) + 4.0 * side**4 * low
    total += _conv(numbers, low, side) + _conv(width, 3, sides[0]) if decoder else 0.0
    total += 0.0 if decoder else _conv(3, width, sides[0]) + _conv(low, 2 * numbers, side)
    before = [*widths[1:], low] if decoder else [width, *widths[:-1]]
    for i, (inputs, outputs) in enumerate(zip(before, widths, strict=True)):
        blocks = BLOCKS + decoder
        total += _conv(inputs, outputs, sides[i]) + (2 * blocks - 1) * _conv(outputs, outputs, sides[i])
        total += _conv(inputs, outputs, sides[i], kernel=1) if inputs != outputs else 0.0
        if decoder and i > 0:
            total += _conv(outputs, outputs, sides[i - 1])
        if not decoder and i < 3:
            total += _conv(outputs, outputs, sides[i + 1])
    return total
