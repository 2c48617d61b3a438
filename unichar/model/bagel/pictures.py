"""How a picture of any shape and mode gets the size that BAGEL sees it in.

Transparent pictures are laid on white. Sides are scaled into a range and rounded to a stride, bicubic with antialiasing; the
picture keeps its shape but for the rounding. The constants are those of the published code and of the paper's training.
"""

from dataclasses import dataclass

from PIL import Image, ImageOps
from torch import Tensor

from unichar.model.pixels import to_pixels

MAX_PIXELS = 14 * 14 * 9 * 1024
MAX_RATIO = 8.0
"""Longest over shortest side of a picture that is read."""


@dataclass(frozen=True, kw_only=True)
class Sizing:
    """A range for the sides of a picture."""

    longest: int
    """The longest side is scaled down to this many pixels."""
    shortest: int
    """The shortest side is scaled up to this many, unless the longest then is too long."""
    stride: int
    """Both sides become multiples of this."""

    def fit(self, width: int, height: int, *, pictures: int = 1) -> tuple[int, int]:
        """(width, height) of a picture among `pictures` that are read together.

        Too many pixels are scaled by the share of the area, not by its root: the published code does so, and the model has seen
        such sizes.
        """
        scale = max(min(self.longest / max(width, height), 1.0), self.shortest / min(width, height))
        width, height = self._scaled(width, height, scale)
        if width * height > MAX_PIXELS / pictures:
            width, height = self._scaled(width, height, MAX_PIXELS / pictures / (width * height))
        if max(width, height) > self.longest:
            width, height = self._scaled(width, height, self.longest / max(width, height))
        return width, height

    def _scaled(self, width: int, height: int, scale: float) -> tuple[int, int]:
        sides = (round(round(side * scale) / self.stride) * self.stride for side in (width, height))
        width, height = (max(self.stride, side) for side in sides)
        return width, height

    def pixels(self, image: Image.Image, *, pictures: int = 1) -> Tensor:
        """[3, H, W] in [-1, 1].

        Raises:
            ValueError: The picture is too narrow to be seen.
        """
        if max(image.size) > MAX_RATIO * min(image.size):
            raise ValueError(
                f"a picture of {image.width} x {image.height} pixels is longer than {MAX_RATIO:g}:1: crop it to what matters"
            )
        flat = on_white(image)
        return to_pixels([flat.resize(self.fit(*flat.size, pictures=pictures), Image.Resampling.BICUBIC)])[0]


def on_white(image: Image.Image) -> Image.Image:
    """Upright and RGB, what was transparent is white."""
    image = ImageOps.exif_transpose(image)
    if image.mode not in ("RGBA", "LA", "PA") and "transparency" not in image.info:
        return image.convert("RGB")
    layers = image.convert("RGBA")
    flat = Image.new("RGB", layers.size, (255, 255, 255))
    flat.paste(layers, mask=layers.getchannel("A"))
    return flat


def seen_in_training(stride: int, longest: int) -> Sizing:
    """Pictures inside conversations that are learned from (the paper: 378 to 980)."""
    return Sizing(longest=longest, shortest=min(378, longest), stride=stride)


def seen_in_replies(stride: int, longest: int) -> Sizing:
    """Pictures inside conversations to answer (published: 224 to 980; its app enlarges them for the autoencoder first)."""
    return Sizing(longest=longest, shortest=min(224, longest), stride=stride)


DRAWN = Sizing(longest=1024, shortest=512, stride=16)
"""Pictures for the autoencoder."""
