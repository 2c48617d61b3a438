"""Conversion of pictures to pixels [B, 3, H, W] in [-1, 1], and back."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from unichar.errors import UserError


def check_image_size(images: Sequence[Image.Image], size: int, *, verb: str) -> None:
    """Check that pictures are `size` pixels square; `verb` introduces that size in the message, as "nano
    draws".

    Raises:
        UserError: A picture has another size.
    """
    for number, image in enumerate(images):
        if image.size != (size, size):
            raise UserError(
                f"picture {number} of {len(images)} is {image.width} x {image.height} pixels, "
                f"{verb} {size} x {size}: curate the kit with this preset again"
            )


def to_pixels(images: Sequence[Image.Image], device: torch.device | None = None) -> Tensor:
    """[B, 3, H, W] in [-1, 1] of RGB pictures of one size, on the CPU or on `device`."""
    stacked = torch.from_numpy(np.stack([np.asarray(image) for image in images]))  # [B, H, W, 3]

    # Moved as bytes, a quarter of the floats.
    return stacked.to(device).permute(0, 3, 1, 2).float() / 127.5 - 1  # [B, 3, H, W]


def to_images(pixels: Tensor) -> list[Image.Image]:
    """RGB pictures of pixels [B, 3, H, W]; values outside [-1, 1] are clamped."""
    scaled = ((pixels.clamp(-1, 1) + 1) * 127.5).round().byte()
    arrays = scaled.permute(0, 2, 3, 1).contiguous().numpy()  # [B, H, W, 3]
    return [Image.fromarray(array) for array in arrays]
