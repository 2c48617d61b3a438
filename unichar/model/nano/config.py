"""Sizes of the nano model, stored with the base weights: a base loads in the shape it was trained in."""

import dataclasses
import json
from dataclasses import dataclass

from unichar.errors import UserError


@dataclass(frozen=True, kw_only=True)
class NanoConfig:
    """Shapes of a nano base. The backbone is SmolLM2-135M-Instruct: 30 layers, 3 key/value heads of 64."""

    image_size: int = 128
    """Pixels on a side; a multiple of 16."""
    vae_widths: tuple[int, int, int] = (48, 96, 160)
    """Channels of the VAE at 1/2, 1/4 and 1/8 of the picture's resolution."""
    decoder_blocks: tuple[int, int, int] = (2, 3, 4)
    """Residual blocks of the VAE's decoder at 1/2, 1/4 and 1/8 of the picture's resolution."""
    latent_channels: int = 8
    """Channels of the VAE's latents. Bases before decision 37 have 8 and do not say so."""
    every: int = 3
    """The generation expert attends to every `every`-th backbone layer, the last one included."""
    backbone_layers: int = 30
    kv_heads: int = 3
    head_dim: int = 64
    expert_width: int = 320
    """Hidden width of the generation expert."""
    expert_heads: int = 6
    """Query heads of the expert; a multiple of `kv_heads`."""
    expert_mlp: int = 960
    """Width of the expert's SwiGLU."""
    vision_width: int = 192
    vision_layers: int = 4
    vision_heads: int = 4
    backbone_width: int = 576

    def __post_init__(self) -> None:
        if self.image_size % 16:
            raise UserError(
                f"image_size is {self.image_size}, expected a multiple of 16 (8x VAE, 2x2 patches)"
            )
        if self.expert_heads % self.kv_heads:
            raise UserError(
                f"expert_heads is {self.expert_heads}, expected a multiple of kv_heads ({self.kv_heads})"
            )

    @property
    def attached(self) -> tuple[int, ...]:
        """Indices of the backbone layers the expert attends to, one per layer of the expert."""
        return tuple(range(self.every - 1, self.backbone_layers, self.every))

    @property
    def latent_side(self) -> int:
        """Latent cells on a side."""
        return self.image_size // 8

    def to_json(self) -> str:
        """JSON for the metadata of the base file."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "NanoConfig":
        """The inverse of `to_json`."""
        raw = json.loads(text)
        for name in ("vae_widths", "decoder_blocks"):
            raw[name] = tuple(raw[name])
        return cls(**raw)
