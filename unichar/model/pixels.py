"""Pictures <-> pixels: [B, 3, H, W] in [-1, 1]."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def check_sides(images: Sequence[Image.Image], side: int, *, wants: str) -> None:
    """Refuse pictures that are not `side` pixels square; `wants` introduces that size, as "nano draws".

    Raises:
        ValueError: A picture has another size.
    """
    for number, image in enumerate(images):
        if image.size != (side, side):
            raise ValueError(
                f"picture {number} of {len(images)} is {image.width} x {image.height} pixels, {wants} {side} x {side}: "
                "curate the kit with this preset again"
            )


def to_pixels(images: Sequence[Image.Image]) -> Tensor:
    """[B, 3, H, W] in [-1, 1] of RGB pictures of one size."""
    stacked = np.stack([np.asarray(image) for image in images])
    return torch.from_numpy(stacked).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_images(pixels: Tensor) -> list[Image.Image]:
    """RGB pictures of pixels [B, 3, H, W]."""
    bytes_bhwc = ((pixels.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
    return [Image.fromarray(picture) for picture in bytes_bhwc]
