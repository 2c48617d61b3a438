"""Pictures of strangers: opened safely, brought into one shape, compared.

`load_picture(path, 128)` gives the square RGB picture that training sees; `Look` tells whether two are the same picture saved
again.

How a picture becomes square, and why:
- Cut-outs (transparent somewhere) are padded, never cropped: their background becomes white anyway, so the padding cannot be
  seen and no ear is lost.
- Photos are cropped, because white bars would be on every picture and the model would learn them as part of the character.
  Wide ones keep the middle; tall ones lose a quarter of the excess at the top and the rest at the bottom, because faces sit high.
- Photos longer than 2:1 (`max_ratio`) would lose more than half, so they are padded after all; validation warns about them.

Departs from the paper's code, which calls `convert("RGB")`: that paints hidden black over every transparent background.
"""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_FORMATS = ("PNG", "JPEG", "WEBP")
WHITE = (255, 255, 255)
MAX_PIXELS = 40_000_000
MIN_SHOWN = 16
"""Pixels on the shorter side of a picture that somebody shows to a model: one patch."""
MAX_BITS = 24
"""Of 256 `dhash` bits: more differ between any two pictures of which one is not the other saved again."""
MAX_SPOT = 28.0
"""Largest difference of one spot in 32 x 32, 0-255. Measured on the toon world: a picture saved, resized, compressed to JPEG
30 or brightened anew reaches 19; the same toon with only another expression, pose, prop or place starts at 39 (its `dhash` may
be equal, so the hash alone would throw away good pictures)."""


class UnusablePicture(ValueError):
    """A picture cannot be used; the message says why, without the path."""


@contextlib.contextmanager
def opened(path: Path, *, max_pixels: int) -> Iterator[Image.Image]:
    """A picture, opened but not unpacked yet.

    Raises:
        UnusablePicture: It is no picture of the four kinds, is damaged, animated, or unpacks to more than `max_pixels`. Damage
            found while the caller unpacks it inside the `with` block is reported in the same way.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=_FORMATS) as image:
                if image.width * image.height > max_pixels:
                    raise UnusablePicture(
                        f"unpacks to {image.width} x {image.height} pixels, more than {max_pixels:,}"
                    )
                num_frames = getattr(image, "n_frames", 1)  # only formats that can be animated have it
                if (
                    image.format != "MPO" and num_frames > 1
                ):  # MPO: the .jpg of many phones, the photo and a depth map
                    raise UnusablePicture(f"is an animation of {num_frames} frames; save the one you mean")
                yield image
    except UnusablePicture:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnusablePicture(f"unpacks to far too many pixels, more than {max_pixels:,}") from error
    except Image.UnidentifiedImageError as error:
        raise UnusablePicture("is not a PNG, JPEG or WebP picture, whatever its name says") from error
    except (
        Exception
    ) as error:  # decoders meet damaged bytes with errors of every kind, so any of them means: damaged
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
    layers = _rgba(ImageOps.exif_transpose(image))
    alpha = layers.getchannel("A")
    flat = Image.new("RGB", layers.size, background)
    flat.paste(layers, mask=alpha)
    is_cutout = bool(np.asarray(alpha).min() < 255)
    is_long = max(flat.size) > max_ratio * min(flat.size)
    return _padded(flat, size, background) if is_cutout or is_long else _resized(_cropped(flat), size, size)


def check_size(image: Image.Image) -> None:
    """Refuse a picture, shown to a model by hand, that has nothing to see or too much to unpack. Kits have limits of their own.

    Raises:
        UnusablePicture: It is smaller than 16 pixels on a side or larger than 40 megapixels.
    """
    if min(image.size) < MIN_SHOWN:
        raise UnusablePicture(
            f"is {image.width} x {image.height} pixels; show one with at least {MIN_SHOWN} on each side"
        )
    if image.width * image.height > MAX_PIXELS:
        raise UnusablePicture(
            f"is {image.width} x {image.height} pixels, more than {MAX_PIXELS:,}; show a smaller copy"
        )


def _rgba(image: Image.Image) -> Image.Image:
    """Any mode as 8-bit RGBA. Pillow clips 16-bit grey instead of scaling it, which turns such pictures white.

    Raises:
        UnusablePicture: The picture is in LAB, which Pillow would turn into other colours.
    """
    if image.mode == "LAB":
        raise UnusablePicture("is in the colour space LAB; save it as RGB")
    if (
        image.mode == "La"
    ):  # grey with the transparency multiplied in: Pillow knows only this one way out of it
        return image.convert("LA").convert("RGBA")
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image).clip(0, 65535) / 257).round().astype(np.uint8)).convert(
            "RGBA"
        )
    return image.convert("RGBA")


def _resized(image: Image.Image, width: int, height: int) -> Image.Image:
    # Lanczos keeps small pictures sharp, but rings around edges that it enlarges.
    return image.resize(
        (width, height), Image.Resampling.LANCZOS if image.width > width else Image.Resampling.BICUBIC
    )


def _padded(image: Image.Image, size: int, background: tuple[int, int, int]) -> Image.Image:
    """Made small first: the square around a strip of 12000 x 3 would take half a gigabyte."""
    width, height = (max(1, round(side * size / max(image.size))) for side in image.size)
    square = Image.new("RGB", (size, size), background)
    square.paste(_resized(image, width, height), ((size - width) // 2, (size - height) // 2))
    return square


def _cropped(image: Image.Image) -> Image.Image:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 4
    return image.crop((left, top, left + side, top + side))


def dhash(image: Image.Image, *, side: int = 16) -> int:
    """`side` x `side` bits: is each spot of the grey picture brighter than its right neighbour?

    Unmoved by size, compression and brightness. Source: the difference hash of Neal Krawetz, 2013.
    """
    grey = np.asarray(image.convert("L").resize((side + 1, side), Image.Resampling.LANCZOS), dtype=np.int16)
    bits = (grey[:, 1:] > grey[:, :-1]).flatten()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


class Look:
    """What one picture looks like, small enough to compare many. Takes the RGB picture of `load_picture`."""

    def __init__(self, image: Image.Image) -> None:
        self.hash = dhash(image)
        self.spots = np.asarray(image.resize((32, 32), Image.Resampling.BOX), dtype=np.float32)

    def is_same_picture(self, other: "Look") -> bool:
        """Whether one is the other saved, resized or compressed again. A crop or another shot of the moment is not."""
        if (self.hash ^ other.hash).bit_count() > MAX_BITS:
            return False
        return float(np.abs(self.spots - other.spots).mean(axis=-1).max()) <= MAX_SPOT
