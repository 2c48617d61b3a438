"""The interface of a unified model of any size. Only `unichar/model/` tells nano from BAGEL.

Shape letters: P prompts, G pictures per prompt, B = P x G, C/h/w latent channels and cells, H/W pixels, D
features.
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
"""Keys and values of P prompts; opaque outside the model. Computed once, shared by all pictures of a prompt.
"""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One message of a conversation: text, or a picture."""

    role: str
    text: str = ""
    image: Image.Image | None = None


@dataclass(frozen=True, kw_only=True)
class RolePlay:
    """A multimodal turn: a reply, the reasoning text before drawing (think-then-draw), and the picture."""

    reply: str
    thinking: str
    instruction: str
    picture: Image.Image


class UnifiedModel(Protocol):
    """A model that understands and generates both text and pictures."""

    image_size: int
    lora_targets: Mapping[str, tuple[str, ...]]
    """`und` and `gen` -> suffixes of the names of the linear layers that adapters attach to."""
    adapter_bases: Mapping[str, str]
    """`und` and `gen` -> public name of the base model their adapters belong to."""
    pictures_follow_text: bool
    """Whether image prompts are read with the text adapters, so that pictures change as these train."""

    @property
    def und(self) -> nn.Module:
        """Text backbone: generates replies, understands pictures."""
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
        """Logits [B, values] of every toon attribute, by the vision tower, of pixels [B, 3, H, W]."""
        ...

    def maps(self, pixels: Tensor) -> list[Tensor]:
        """Feature maps [B, D, rows, columns] of the vision tower, fine to coarse, of pixels [B, 3, H, W]."""
        ...

    def prompt_context(self, prompts: Sequence[str]) -> PromptContext:
        """Context of P prompts; with gradients of the text adapters where pictures follow text and the caller
        does not disable gradients."""
        ...

    def velocity(self, latents: Tensor, t: Tensor, context: PromptContext) -> Tensor:
        """v = eps - x0 [B, C, h, w] at times t [B].

        The G pictures of a prompt are adjacent, in the order of the context's prompts.
        """
        ...

    def text_losses(self, conversations: Sequence[Sequence[Segment]], folder: Path) -> list[Tensor]:
        """Cross-entropy of every token that carries a loss, one tensor per conversation.

        Pictures are read from `folder`.
        """
        ...

    def start_noise(self, seeds: Sequence[int]) -> Tensor:
        """x_1 of sampling, [B, C, h, w]; each picture's noise depends on its seed alone."""
        ...

    def sample_latents(
        self, context: PromptContext, seeds: Sequence[int], *, steps: int, guidance: float, shift: float
    ) -> Tensor:
        """Latents [B, C, h, w], one seed per picture; batch-invariant."""
        ...

    def reply(
        self, conversations: Sequence[Sequence[Turn]], *, max_tokens: int, temperature: float, seed: int
    ) -> list[str]:
        """The next assistant message of each conversation."""
        ...

    def base_text(self) -> AbstractContextManager[None]:
        """Disables the adapters of the text backbone within the context."""
        ...

    def export_adapters(self, folder: Path) -> None:
        """Write the adapters saved in `folder` once more, by names that other programs bind, if there are
        such programs.
        """
        ...

    def merged_pictures(self) -> AbstractContextManager[None]:
        """Context for drawing: the generation expert's adapters may be part of its weights, which is faster
        and changes rounding. Nothing may be trained inside.
        """
        ...

    def base_pictures(self) -> AbstractContextManager[None]:
        """Disables the adapters of the generation expert within the context."""
        ...
