"""Resizes a picture of any shape and mode to what BAGEL's vision tower sees.

Transparent pictures are composed on white. Sides are scaled into a range and rounded to a stride, bicubic
with antialiasing; the aspect ratio is kept but for the rounding. Constants are those of the published code
and of the paper's training.
"""

from dataclasses import dataclass

from PIL import Image, ImageOps
from torch import Tensor

from unichar.errors import UserError
from unichar.model.pixels import to_pixels

MAX_PIXELS = 14 * 14 * 9 * 1024
"""Of all pictures of a conversation together: 9,216 patches of 14 x 14."""
MAX_RATIO = 8.0
"""Largest ratio of the sides of a picture that is accepted."""


@dataclass(frozen=True, kw_only=True)
class Sizing:
    """Range and stride of the sides of a picture, in pixels."""

    longest: int
    """The longest side is scaled down to at most this."""
    shortest: int
    """The shortest side is scaled up to at least this, unless the longest side would exceed its limit."""
    stride: int
    """Both sides become multiples of this."""

    def fit(self, width: int, height: int, *, pictures: int = 1) -> tuple[int, int]:
        """(width, height) of a picture that is one of `pictures` in its conversation.

        A picture with too many pixels is scaled by the ratio of areas, not by its square root: the published
            code does so, and the model was trained on such sizes.
        """
        scale = max(min(self.longest / max(width, height), 1.0), self.shortest / min(width, height))
        width, height = self._scaled(width, height, scale)

        if width * height > MAX_PIXELS / pictures:
            width, height = self._scaled(width, height, MAX_PIXELS / pictures / (width * height))
        if max(width, height) > self.longest:
            width, height = self._scaled(width, height, self.longest / max(width, height))
        return width, height

    def _scaled(self, width: int, height: int, scale: float) -> tuple[int, int]:
        return self._rounded(width * scale), self._rounded(height * scale)

    def _rounded(self, side: float) -> int:
        """The nearest multiple of the stride, at least one stride."""
        return max(self.stride, round(round(side) / self.stride) * self.stride)

    def pixels(self, image: Image.Image, *, pictures: int = 1) -> Tensor:
        """Resized pixels [3, H, W] in [-1, 1].

        Raises:
            UserError: The picture is longer than `MAX_RATIO` times its width.
        """
        if max(image.size) > MAX_RATIO * min(image.size):
            raise UserError(
                f"a picture of {image.width} x {image.height} pixels is longer than {MAX_RATIO:g}:1: "
                "crop it to what matters"
            )

        flat = on_white(image)
        return to_pixels([flat.resize(self.fit(*flat.size, pictures=pictures), Image.Resampling.BICUBIC)])[0]


def on_white(image: Image.Image) -> Image.Image:
    """The picture upright, in RGB, composed on white where it is transparent."""
    image = ImageOps.exif_transpose(image)
    if image.mode not in ("RGBA", "LA", "PA") and "transparency" not in image.info:
        return image.convert("RGB")

    layers = image.convert("RGBA")
    flat = Image.new("RGB", layers.size, (255, 255, 255))
    flat.paste(layers, mask=layers.getchannel("A"))
    return flat


def seen_in_training(stride: int, longest: int) -> Sizing:
    """Sizes of pictures in training conversations (paper: 378 to 980)."""
    return Sizing(longest=longest, shortest=min(378, longest), stride=stride)


def seen_in_replies(stride: int, longest: int) -> Sizing:
    """Sizes of pictures in conversations to answer.

    Published: 224 to 980; the published app enlarges them for the autoencoder first.
    """
    return Sizing(longest=longest, shortest=min(224, longest), stride=stride)
