"""Pictures from users: opened safely, brought into one shape, compared.

`load_picture(path, 128)` gives the square RGB picture that training sees. `PictureSignature` tells whether
two pictures are the same one saved again.

How a picture becomes square, and why:
- Cut-outs (transparent somewhere) are padded, never cropped. Their background becomes white anyway, so the
  padding
  cannot be seen and nothing of the character is lost.
- Photos are cropped, because the model would learn white bars on every picture as part of the character.
  Wide ones
  keep the middle. Tall ones lose a quarter of the excess at the top and the rest at the bottom, because
  faces are usually in the upper part.
- Photos longer than 2:1 (`max_ratio`) would lose more than half, so they are padded; validation warns about
  them.

Departs from the paper's code, which calls `convert("RGB")`: that makes every transparent background black.
"""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from unichar.errors import UserError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")

# Pillow decides by content; more decoders would mean more code that reads untrusted files.
_FORMATS = ("PNG", "JPEG", "WEBP")
WHITE = (255, 255, 255)
MAX_PIXELS = 40_000_000
MIN_SHOWN = 16
"""Smallest shorter side in pixels of a picture that is shown to a model: one patch."""
MAX_BITS = 24
"""Largest number of the 256 `dhash` bits that differ between a picture and the same picture saved again."""
MAX_CELL_DIFFERENCE = 28.0
"""Largest difference of one cell in 32 x 32 between copies, in 0..255.

Measured on toons: a picture that is saved, resized, compressed to JPEG 30 or brightened again reaches 19.
The same toon with only another expression, pose, prop or background starts at 39. Its `dhash` may be equal,
so the hash alone would discard good pictures."""


class UnusablePicture(UserError):
    """A picture cannot be used; the message says why, without the path."""


@contextlib.contextmanager
def opened(path: Path, *, max_pixels: int) -> Iterator[Image.Image]:
    """Open a picture without unpacking it.

    Raises:
        UnusablePicture: It is no picture of the four kinds, is damaged, animated, or unpacks to more than
            `max_pixels`. Damage found while the caller unpacks it inside the `with` block is reported in the
            same way.
    """
    try:
        with warnings.catch_warnings():
            # Pillow only warns between one and two times its own limit.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=_FORMATS) as image:
                if image.width * image.height > max_pixels:
                    raise UnusablePicture(
                        f"unpacks to {image.width} x {image.height} pixels, more than {max_pixels:,}"
                    )

                # Only formats that can be animated have `n_frames`. MPO is the .jpg of many phones: the
                # photo, then a depth map.
                num_frames = getattr(image, "n_frames", 1)
                if image.format != "MPO" and num_frames > 1:
                    raise UnusablePicture(f"is an animation of {num_frames} frames; save the one you mean")
                yield image
    except UnusablePicture:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnusablePicture(f"unpacks to far too many pixels, more than {max_pixels:,}") from error
    except Image.UnidentifiedImageError as error:
        raise UnusablePicture("is not a PNG, JPEG or WebP picture, whatever its name says") from error
    # Decoders raise errors of every kind on damaged bytes, so any other error means damage.
    except Exception as error:
        raise UnusablePicture(f"is damaged or cut off ({error})") from error


def load_picture(
    path: Path,
    size: int,
    background: tuple[int, int, int] = WHITE,
    *,
    max_pixels: int = MAX_PIXELS,
    max_ratio: float = 2.0,
) -> Image.Image:
    """The picture as training sees it: upright, RGB, `size` x `size`, transparency filled with `background`.

    Raises:
        UnusablePicture: See `opened`.
    """
    with opened(path, max_pixels=max_pixels) as image:
        return prepare(image, size, background, max_ratio=max_ratio)


def prepare(
    image: Image.Image, size: int, background: tuple[int, int, int] = WHITE, *, max_ratio: float = 2.0
) -> Image.Image:
    """`load_picture` for an open picture of any mode and shape."""
    # Phones store the sensor's orientation and a note how to turn the picture.
    layers = _rgba(ImageOps.exif_transpose(image))

    alpha = layers.getchannel("A")
    flat = Image.new("RGB", layers.size, background)
    flat.paste(layers, mask=alpha)

    is_cutout = bool(np.asarray(alpha).min() < 255)
    is_long = max(flat.size) > max_ratio * min(flat.size)
    return _padded(flat, size, background) if is_cutout or is_long else _resized(_cropped(flat), size, size)


def check_size(image: Image.Image) -> None:
    """Refuse a picture shown to a model by hand that is too small to see or too large to unpack.

    The pictures of kits have limits of their own, in `KitConfig`.

    Raises:
        UnusablePicture: It is smaller than 16 pixels on a side or larger than 40 megapixels.
    """
    # Smaller than one patch there is nothing to see.
    if min(image.size) < MIN_SHOWN:
        raise UnusablePicture(
            f"is {image.width} x {image.height} pixels; show one with at least {MIN_SHOWN} on each side"
        )

    # Checked on the size alone, before the picture is unpacked.
    if image.width * image.height > MAX_PIXELS:
        raise UnusablePicture(
            f"is {image.width} x {image.height} pixels, more than {MAX_PIXELS:,}; show a smaller copy"
        )


def _rgba(image: Image.Image) -> Image.Image:
    """A picture of any mode as 8-bit RGBA.

    Raises:
        UnusablePicture: The picture is in LAB, whose colours Pillow would change.
    """
    if image.mode == "LAB":
        raise UnusablePicture("is in the colour space LAB; save it as RGB")

    # Grey with premultiplied alpha, which Pillow converts to LA only.
    if image.mode == "La":
        return image.convert("LA").convert("RGBA")

    # 16-bit grey: Pillow would clip it to 255 instead of scaling it, which makes such pictures white.
    if image.mode.startswith("I"):
        grey = (np.asarray(image).clip(0, 65535) / 257).round().astype(np.uint8)
        return Image.fromarray(grey).convert("RGBA")

    return image.convert("RGBA")


def _resized(image: Image.Image, width: int, height: int) -> Image.Image:
    # Lanczos keeps reduced pictures sharp, but rings around edges when it enlarges.
    is_reduced = image.width > width
    return image.resize((width, height), Image.Resampling.LANCZOS if is_reduced else Image.Resampling.BICUBIC)


def _padded(image: Image.Image, size: int, background: tuple[int, int, int]) -> Image.Image:
    """The whole picture in the middle of a square of `background`."""
    # Resized before it is padded: the square around a strip of 12000 x 3 would take half a gigabyte.
    width, height = (max(1, round(side * size / max(image.size))) for side in image.size)
    square = Image.new("RGB", (size, size), background)
    square.paste(_resized(image, width, height), ((size - width) // 2, (size - height) // 2))
    return square


def _cropped(image: Image.Image) -> Image.Image:
    """The largest square: in the middle of a wide picture, in the upper part of a tall one."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 4
    return image.crop((left, top, left + side, top + side))


def dhash(image: Image.Image, *, side: int = 16) -> int:
    """`side` x `side` bits: is each cell of the grey picture brighter than its left neighbour?

    It hardly depends on size, compression and brightness. Source: the difference hash of Neal Krawetz, 2013.
    """
    # One column more than `side`, since each bit compares two neighbours.
    grey = np.asarray(image.convert("L").resize((side + 1, side), Image.Resampling.LANCZOS), dtype=np.int16)
    bits = (grey[:, 1:] > grey[:, :-1]).flatten()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


class PictureSignature:
    """A short description of one picture, for comparing many. Takes the RGB picture of `load_picture`."""

    def __init__(self, image: Image.Image) -> None:
        self.hash = dhash(image)

        # [32, 32, 3], mean colours
        self.cells = np.asarray(image.resize((32, 32), Image.Resampling.BOX), dtype=np.float32)

    def is_same_picture(self, other: "PictureSignature") -> bool:
        """Whether one is the other saved, resized or compressed again. A crop of it is another picture."""
        # The hash is cheap and rejects nearly all pairs.
        if (self.hash ^ other.hash).bit_count() > MAX_BITS:
            return False

        # [32, 32]: mean over the colours, so that one strong colour difference does not decide.
        difference = np.abs(self.cells - other.cells).mean(axis=-1)
        return float(difference.max()) <= MAX_CELL_DIFFERENCE
