"""Backgrounds of drawn worlds: plain walls, gradients, places with things that stand there, and weather."""

import random
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import yaml
from PIL import Image, ImageDraw, ImageFilter

from unichar.pretrain.worlds.art import Art
from unichar.pretrain.worlds.colors import pick, rgb, shade

WEATHER = ("rain", "snow", "sunshine", "fog", "a rainbow")
OUTDOORS = (
    "beach",
    "forest",
    "city",
    "garden",
    "park",
    "desert",
    "mountains",
    "farm",
    "street",
    "castle",
    "sports field",
    "playground",
    "harbor",
)
"""Places with weather."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A place as `scenes.yaml` describes it."""

    say: tuple[str, ...]
    sky: tuple[str, str]
    ground: str
    horizon: float
    things: tuple[str, ...]


@cache
def places() -> dict[str, Place]:
    """All places by name."""
    raw = yaml.safe_load(files(__package__).joinpath("scenes.yaml").read_text("utf-8"))
    found = {}
    for name, about in raw.items():
        found[name] = Place(
            say=tuple(about["say"]),
            sky=(str(about["sky"][0]), str(about["sky"][1])),
            ground=str(about["ground"]),
            horizon=about["horizon"],
            things=tuple(about["things"]),
        )
    return found


def gradient(top: str, bottom: str, size: int) -> Image.Image:
    """RGB picture [size, size] from one colour to another, hex digits."""
    share = np.linspace(0, 1, size)[:, None, None]
    rows = np.array(rgb(top)) * (1 - share) + np.array(rgb(bottom)) * share  # [size, 1, 3]
    return Image.fromarray(np.broadcast_to(rows, (size, size, 3)).astype(np.uint8))


def wall(rng: random.Random, size: int, color: str = "any") -> tuple[Image.Image, str]:
    """A plain wall, or one that brightens downward, and its colour's name."""
    name, digits = pick("wall", rng) if color == "any" else (color, shade("wall", color, rng))
    if rng.random() < 0.7:
        return Image.new("RGB", (size, size), rgb(digits)), name

    # Halfway to white, so that the name stays right.
    lighter = "".join(f"{(channel + 255) // 2:02x}" for channel in rgb(digits))
    return gradient(digits, lighter, size), name


def place(name: str, rng: random.Random, size: int, art: Art) -> Image.Image:
    """RGB picture of a place, drawn anew every time: other hands, numbers, sizes and positions of things."""
    about = places()[name]
    picture = gradient(*about.sky, size)
    horizon = round(size * min(1.0, about.horizon + rng.uniform(-0.05, 0.05)))
    if about.ground != "none":
        _ground(picture, about.ground, horizon, rng)

    hand = rng.choice(("fluent-emoji-flat", "noto", "twemoji"))
    for _ in range(rng.randint(3, 6)):
        thing = rng.choice(about.things)
        side = round(size * rng.uniform(0.16, 0.36)) // 4 * 4
        icon = art.emoji(hand, thing, side)
        left = rng.randint(-side // 4, size - 3 * side // 4)

        # What stands on the ground touches the horizon; in space and at night things hang anywhere.
        top = horizon - side + rng.randint(0, size // 12)
        if about.ground == "none" or name == "night":
            top = rng.randint(0, max(1, round(size * 0.7) - side))
        picture.paste(icon, (left, top), icon)
    return picture


def _ground(picture: Image.Image, color: str, horizon: int, rng: random.Random) -> None:
    """Paint the ground, flat or as a low hill."""
    size = picture.width
    pen = ImageDraw.Draw(picture)
    if rng.random() < 0.5:
        pen.rectangle((0, horizon, size, size), fill=rgb(color))
        return
    bow = rng.randint(4, size // 8)
    pen.ellipse((-size // 2, horizon - bow // 2, size + size // 2, 3 * size), fill=rgb(color))


def add_weather(picture: Image.Image, weather: str, rng: random.Random) -> Image.Image:
    """The picture in the weather, RGB. Sun and rainbow are painted before the figure, the rest after it."""
    size = picture.width
    layer = Image.new("RGBA", (size, size))
    pen = ImageDraw.Draw(layer)
    if weather == "rain":
        pen.rectangle((0, 0, size, size), fill=(70, 85, 110, 60))
        for _ in range(size // 3):
            x, y, length = rng.randrange(size), rng.randrange(size), rng.randint(size // 20, size // 9)
            pen.line(
                (x, y, x - length // 3, y + length), fill=(190, 215, 240, 200), width=max(1, size // 100)
            )
    elif weather == "snow":
        for _ in range(size // 2):
            left, top, width = rng.randrange(size), rng.randrange(size), rng.uniform(0.012, 0.028) * size
            pen.ellipse((left, top, left + width, top + width), fill=(255, 255, 255, 235))
    elif weather == "fog":
        pen.rectangle((0, 0, size, size), fill=(225, 230, 235, 120))
    elif weather == "sunshine":
        middle, high = rng.choice((0.12, 0.88)) * size, 0.13 * size
        for radius, color in ((0.176 * size, (255, 236, 140, 120)), (0.11 * size, (255, 221, 64, 255))):
            box = (middle - radius, high - radius, middle + radius, high + radius)
            pen.ellipse(box, fill=color)
    else:
        bands = ((226, 72, 72), (240, 150, 60), (246, 220, 80), (96, 186, 96), (80, 130, 220), (140, 90, 200))
        for index, band in enumerate(bands):
            inset = (0.02 + 0.025 * index) * size
            box = (inset, 0.08 * size + inset, size - inset, 1.7 * size - inset)
            pen.arc(box, 180, 360, fill=(*band, 220), width=max(2, round(0.026 * size)))
    return Image.alpha_composite(picture.convert("RGBA"), layer).convert("RGB")


def soften(picture: Image.Image, rng: random.Random) -> Image.Image:
    """A background out of focus, a quarter of the time, so that figures are learned in front of both."""
    return picture.filter(ImageFilter.GaussianBlur(1.5)) if rng.random() < 0.25 else picture
