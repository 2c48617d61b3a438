"""Sizes of a BAGEL model: the values of `llm_config.json` and `vit_config.json`, and published constants.

Smaller models of the same architecture differ in these two files, and in the width of their autoencoder,
which is read from its weights.
"""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from unichar.errors import UserError

LATENT_CHANNELS = 16
"""Channels of the autoencoder's latents."""
LATENT_PATCH = 2
"""Side of a latent token of the generation expert, in latent cells."""
PIXELS = 16
"""Side of a latent token in pixels: 2 latent cells of 8 pixels."""


@dataclass(frozen=True, kw_only=True)
class TextConfig:
    """Shapes of either expert of the decoder: a Qwen2 with norms on queries and keys."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    vocab_size: int
    max_position_embeddings: int
    rope_theta: float
    rms_norm_eps: float

    def __post_init__(self) -> None:
        file = "llm_config.json"
        _positive(file, self)
        _multiple(file, "hidden_size", self.hidden_size, self.num_attention_heads)
        _multiple(file, "num_attention_heads", self.num_attention_heads, self.num_key_value_heads)

        # Position tables hold sines and cosines of rows and of columns; rotary positions hold pairs.
        _multiple(file, "hidden_size", self.hidden_size, 4)
        _multiple(file, "hidden_size / num_attention_heads", self.head_size, 2)

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads


@dataclass(frozen=True, kw_only=True)
class VisionConfig:
    """Shapes of the SigLIP vision tower."""

    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_hidden_layers: int
    """As in the file: one more than the published weights hold; features are taken before the last layer."""
    patch_size: int
    image_size: int

    def __post_init__(self) -> None:
        _positive("vit_config.json", self)
        _multiple("vit_config.json", "hidden_size", self.hidden_size, self.num_attention_heads)
        _multiple("vit_config.json", "image_size", self.image_size, self.patch_size)
        if self.num_hidden_layers < 2:
            raise UserError(
                f"vit_config.json: num_hidden_layers is {self.num_hidden_layers}, expected 2 or more"
            )

    @property
    def used_layers(self) -> int:
        """Number of layers with weights."""
        return self.num_hidden_layers - 1

    @property
    def side(self) -> int:
        """Largest number of patches on a side of a picture; 70 in BAGEL."""
        return self.image_size // self.patch_size


@dataclass(frozen=True, kw_only=True)
class BagelConfig:
    """Everything that determines the shapes of the weights."""

    text: TextConfig
    vision: VisionConfig
    autoencoder_width: int = 128
    """Channels of the autoencoder at full resolution."""
    latent_side: int = 64
    """Largest number of latent tokens on a side of a generated picture."""


def read_config(folder: Path, *, autoencoder_width: int, latent_side: int) -> BagelConfig:
    """The configuration of a published folder.

    Raises:
        UserError: A file is missing or damaged, or a field is missing or invalid; the message names both.
    """
    return BagelConfig(
        text=_read(folder / "llm_config.json", TextConfig),
        vision=_read(folder / "vit_config.json", VisionConfig),
        autoencoder_width=autoencoder_width,
        latent_side=latent_side,
    )


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file of a published folder.

    Raises:
        UserError: The file is missing or holds something else.
    """
    if not path.exists():
        raise UserError(
            f"{path} is missing: expected a folder as published for BAGEL-7B-MoT, download it again"
        )
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path} is no JSON ({error}): download it again") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} holds a {type(value).__name__}, expected a JSON object: download it again")
    return value


Sizes = TypeVar("Sizes", TextConfig, VisionConfig)


def _read(path: Path, kind: type[Sizes]) -> Sizes:
    raw = read_json(path)
    values: dict[str, Any] = {}
    for field in fields(kind):
        if field.name not in raw:
            raise UserError(f"{path}: {field.name} is missing")

        value = raw[field.name]
        types = (int, float) if field.type is float else (int,)
        if isinstance(value, bool) or not isinstance(value, types):
            expected = "a number" if field.type is float else "a whole number"
            raise UserError(f"{path}: {field.name} is {value!r}, expected {expected}")
        values[field.name] = value
    return kind(**values)


def _positive(file: str, config: TextConfig | VisionConfig) -> None:
    for field in fields(config):
        if getattr(config, field.name) <= 0:
            raise UserError(f"{file}: {field.name} is {getattr(config, field.name)}, expected more than 0")


def _multiple(file: str, field: str, value: int, of: int) -> None:
    if value % of:
        raise UserError(f"{file}: {field} is {value}, expected a multiple of {of}")
