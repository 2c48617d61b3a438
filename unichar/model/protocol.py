"""What every room may ask of a unified model, whatever its size. Only `unichar/model/` knows nano from BAGEL.

Letters: P prompts, G pictures a prompt, B = P x G, C/h/w latent shape.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from PIL import Image
from torch import Tensor, nn

from unichar.types import Segment

PromptContext = Any
"""What the text experts left of P prompts; opaque outside the model. Computed once, read by every picture of a prompt."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One generated or given message: text, or a picture."""

    role: str
    text: str = ""
    image: Image.Image | None = None


@dataclass(frozen=True, kw_only=True)
class RolePlay:
    """A reply with the picture drawn for it."""

    reply: str
    thinking: str
    instruction: str
    picture: Image.Image


class UnifiedModel(Protocol):
    """A model that reads and writes both text and pictures."""

    image_size: int
    lora_targets: Mapping[str, tuple[str, ...]]
    """`und` and `gen` -> ends of the names of their linear layers that adapters go to."""
    adapter_bases: Mapping[str, str]
    """`und` and `gen` -> the name under which others know what the adapters of that side belong to."""

    @property
    def und(self) -> nn.Module:
        """Text backbone: writes replies, reads pictures."""
        ...

    @property
    def gen(self) -> nn.Module:
        """Generation expert: predicts velocities of latents."""
        ...

    def encode_images(self, images: Sequence[Image.Image]) -> Tensor:
        """Latents [B, C, h, w] of RGB pictures."""
        ...

    def decode_latents(self, latents: Tensor) -> Tensor:
        """Pixels [B, 3, H, W] in [-1, 1]."""
        ...

    def read(self, pixels: Tensor) -> dict[str, Tensor]:
        """Logits [B, values] of every attribute of the toon world, as the vision tower sees pixels [B, 3, H, W]."""
        ...

    def maps(self, pixels: Tensor) -> list[Tensor]:
        """Feature maps of the vision tower, fine to coarse."""
        ...

    def prompt_context(self, prompts: Sequence[str]) -> PromptContext:
        """Context of P prompts, without gradients."""
        ...

    def velocity(self, latents: Tensor, t: Tensor, context: PromptContext) -> Tensor:
        """v = eps - x0 at times t [B]; the G pictures of a prompt stand together, in the order of the context's prompts."""
        ...

    def text_losses(self, conversations: Sequence[Sequence[Segment]], folder: Path) -> list[Tensor]:
        """Cross-entropy of every token that carries a loss, one tensor a conversation; pictures are read from `folder`."""
        ...

    def start_noise(self, seeds: Sequence[int]) -> Tensor:
        """Noise [B, C, h, w] that sampling starts from, one seed a picture."""
        ...

    def sample_latents(
        self, context: PromptContext, seeds: Sequence[int], *, steps: int, guidance: float, shift: float
    ) -> Tensor:
        """Latents [B, C, h, w] grown from one seed a picture; the result does not depend on what else is in the batch."""
        ...

    def reply(
        self, conversations: Sequence[Sequence[Turn]], *, max_tokens: int, temperature: float, seed: int
    ) -> list[str]:
        """The next assistant message of every conversation."""
        ...

    def base_text(self) -> AbstractContextManager[None]:
        """Within it, adapters of the text backbone are off."""
        ...

    def save_merged(self, folder: Path, *, base: Path) -> None:
        """Write the model with its adapters added to its weights into an empty folder that `load_model` reads.

        `base` is what the model was loaded from; the model itself stays as it is.
        """
        ...

    def base_pictures(self) -> AbstractContextManager[None]:
        """Within it, adapters of the generation expert are off."""
        ...
