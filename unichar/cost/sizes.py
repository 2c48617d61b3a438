"""Sizes of nano and BAGEL-7B-MoT for `flops.py`, and their parameters by part.

Parameters and the FLOPs of the autoencoders are counted on PyTorch's meta device, where tensors have a shape
and no content, so a cost estimate for BAGEL needs neither its 29 GB of weights nor a GPU.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaConfig, LlamaForCausalLM

from unichar.cost.flops import Matrix, Sizes, Stack
from unichar.model.bagel.autoencoder import Autoencoder
from unichar.model.bagel.config import LATENT_CHANNELS, PIXELS, BagelConfig, TextConfig, VisionConfig
from unichar.model.bagel.decoder import TextExpert
from unichar.model.bagel.drawing import DRAWN_TOKENS
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
PIXELS_PER_LATENT = 8
"""Side of a latent cell of BAGEL's autoencoder, in pixels."""
_DECODED = 6
"""Feature maps in bf16 of full resolution and the autoencoder's least width at the decoder's peak."""
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
    """(sizes, part -> parameters) of a model family; nano's picture size is fixed."""
    if family == "nano":
        return nano_sizes(NanoConfig()), nano_parameters(NanoConfig())
    return bagel_sizes(image_size), bagel_parameters()


def nano_sizes(config: NanoConfig, backbone: LlamaConfig = SMOLLM2) -> Sizes:
    """Nano at its own picture size."""
    patches = (config.image_size // 16) ** 2
    tower_entry, connector = _nano_vision_flops(config, patches)

    # Convolutions of many shapes, so PyTorch counts them.
    encode, decode = _autoencoder_flops(
        lambda: vae.Vae(config.vae_widths, config.decoder_blocks, config.latent_channels),
        pixels=(1, 3, config.image_size, config.image_size),
        latents=(1, config.latent_channels, config.latent_side, config.latent_side),
    )

    return Sizes(
        name="nano",
        text=_llama_stack(backbone),
        vocabulary=backbone.vocab_size,
        gen=Stack(
            layers=len(config.attached),
            width=config.expert_width,
            heads=config.expert_heads,
            kv_heads=config.kv_heads,
            head_size=config.head_dim,
            mlp=config.expert_mlp,
        ),
        gen_matrices=_nano_gen_matrices(config),
        tokens=(config.latent_side // PATCH) ** 2,
        markers=0,
        tower=_tower(config.vision_layers, config.vision_width, config.vision_heads, 4 * config.vision_width),
        tower_entry=tower_entry,
        patches=patches,
        seen_tokens=vision.NUM_TOKENS,
        connector=connector,
        encode=encode,
        decode=decode,
        # Pictures of 128 pixels: next to nothing.
        drawn=0,
        decoding=0.0,
        # Prompts are read without adapters, so their contexts stay valid and are kept for the whole run.
        recompute=False,
        keeps_contexts=True,
        guided_above=0.0,
    )


def _llama_stack(backbone: LlamaConfig) -> Stack:
    """The layers of nano's backbone."""
    assert backbone.num_key_value_heads is not None
    return Stack(
        layers=backbone.num_hidden_layers,
        width=backbone.hidden_size,
        heads=backbone.num_attention_heads,
        kv_heads=backbone.num_key_value_heads,
        head_size=backbone.hidden_size // backbone.num_attention_heads,
        mlp=backbone.intermediate_size,
    )


def _nano_gen_matrices(config: NanoConfig) -> tuple[Matrix, ...]:
    """Latent tokens in and out, the time embedding and its modulation, and the prompt's keys and values."""
    # A latent token is a patch of latent cells; layers of the expert attach to some of the backbone's.
    kv, width = config.kv_heads * config.head_dim, config.expert_width
    values, layers = config.latent_channels * PATCH**2, len(config.attached)
    return (
        Matrix(inputs=values, outputs=width, per="token", adapted=True),
        Matrix(inputs=width, outputs=values, per="token", adapted=True),
        Matrix(inputs=256, outputs=width, per="picture", adapted=True),
        Matrix(inputs=width, outputs=width, per="picture", adapted=True),
        Matrix(inputs=width, outputs=6 * width, per="picture", adapted=True),
        Matrix(inputs=kv, outputs=kv, per="prompt_token", count=2 * layers, adapted=True),
    )


def _nano_vision_flops(config: NanoConfig, patches: int) -> tuple[float, float]:
    """FLOPs per picture (before the layers of nano's vision tower, in its connector)."""
    vision_width = config.vision_width

    # The vision tower begins with three convolutions: (channels in, channels out, side of the output).
    entry = [
        (48, 96, config.image_size // 4),
        (96, 128, config.image_size // 8),
        (128, vision_width, config.image_size // 16),
    ]

    # Keys and values of all patches, then the MLP; attention of the 16 queries is too small to count.
    connector = 4.0 * patches * vision_width**2
    connector += 2.0 * vision.NUM_TOKENS * (vision_width + config.backbone_width) * config.backbone_width
    return sum(_conv(*each) for each in entry), connector


def bagel_sizes(image_size: int, config: BagelConfig = BAGEL_7B) -> Sizes:
    """BAGEL with square pictures of `image_size` pixels, generated and seen."""
    text, tower = config.text, config.vision
    width, stack = text.hidden_size, _bagel_stack(text)

    # A seen picture is resized to whole patches, within the sizes that the vision tower was trained with.
    seen = seen_in_training(tower.patch_size, tower.image_size).fit(image_size, image_size)[0]
    patches = (seen // tower.patch_size) ** 2

    side = image_size // PIXELS_PER_LATENT
    encode, decode = _autoencoder_flops(
        lambda: Autoencoder(config.autoencoder_width),
        pixels=(1, 3, image_size, image_size),
        latents=(1, LATENT_CHANNELS, side, side),
    )

    return Sizes(
        name="BAGEL-7B-MoT" if config == BAGEL_7B else "BAGEL",
        text=stack,
        vocabulary=text.vocab_size,
        gen=stack,
        # Latent tokens in and out, and the time embedding.
        gen_matrices=(
            Matrix(inputs=TOKEN, outputs=width, per="token"),
            Matrix(inputs=width, outputs=TOKEN, per="token"),
            Matrix(inputs=256, outputs=width, per="picture"),
            Matrix(inputs=width, outputs=width, per="picture"),
        ),
        tokens=(image_size // PIXELS) ** 2,
        # One token each before and after the picture.
        markers=2,
        tower=_tower(
            tower.used_layers, tower.hidden_size, tower.num_attention_heads, tower.intermediate_size
        ),
        tower_entry=2.0 * patches * 3 * tower.patch_size**2 * tower.hidden_size,
        patches=patches,
        seen_tokens=patches + 2,
        connector=2.0 * patches * (tower.hidden_size + width) * width,
        encode=encode,
        decode=decode,
        drawn=max(1, DRAWN_TOKENS // (image_size // PIXELS) ** 2),
        decoding=2.0 * _DECODED * config.autoencoder_width * image_size**2,
        # Every layer is recomputed in the backward pass, and every step encodes its prompts.
        recompute=True,
        keeps_contexts=False,
        guided_above=Guidance().interval[0],
    )


def _bagel_stack(text: TextConfig) -> Stack:
    """The layers of either expert; both have the same shape."""
    return Stack(
        layers=text.num_hidden_layers,
        width=text.hidden_size,
        heads=text.num_attention_heads,
        kv_heads=text.num_key_value_heads,
        head_size=text.head_size,
        mlp=text.intermediate_size,
    )


def nano_parameters(config: NanoConfig) -> dict[str, int]:
    """Part -> parameters of nano."""
    return _counted(
        {
            "text backbone": lambda: LlamaForCausalLM(SMOLLM2),
            "generation expert": lambda: NanoExpert(config),
            "vision tower": lambda: vision.VisionTower(config),
            "connector": lambda: vision.Connector(config),
            "autoencoder": lambda: vae.Vae(config.vae_widths, config.decoder_blocks, config.latent_channels),
        }
    )


def bagel_parameters(config: BagelConfig = BAGEL_7B) -> dict[str, int]:
    """Part -> parameters of BAGEL."""
    parts: dict[str, Callable[[], nn.Module]] = {
        "text expert": lambda: TextExpert(config.text),
        "generation expert": lambda: GenerationExpert(config),
        "vision tower": lambda: ImageEncoder(config),
        "autoencoder": lambda: Autoencoder(config.autoencoder_width),
    }
    counted = _counted(parts)

    # Input embeddings and the output head are separate matrices of the same size.
    embeddings = 2 * config.text.vocab_size * config.text.hidden_size
    counted["text expert"] -= embeddings
    return {"word embeddings and head": embeddings, **counted}


def _counted(parts: dict[str, Callable[[], nn.Module]]) -> dict[str, int]:
    """Parameters of each part."""
    # Modules on the meta device allocate nothing.
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
    """FLOPs of a convolution whose output is `side` x `side`."""
    return 2.0 * inputs * outputs * kernel**2 * side**2


def _autoencoder_flops(
    build: Callable[[], vae.Vae | Autoencoder], *, pixels: tuple[int, ...], latents: tuple[int, ...]
) -> tuple[float, float]:
    """(encode, decode) of an autoencoder for inputs of these shapes."""
    with torch.device("meta"):
        model, x, z = build(), torch.empty(pixels), torch.empty(latents)

    def count(work: Callable[[], Tensor]) -> float:
        # Plain products in attention: the counter does not see the fused kernel of CPUs.
        counter = FlopCounterMode(display=False)
        with counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
            work()
        return float(counter.get_total_flops())

    return count(lambda: model.encode(x)), count(lambda: model.decode(z))
