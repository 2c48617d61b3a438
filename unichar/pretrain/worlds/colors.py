"""Colours by name: what captions call them, and the shades a renderer may take for each."""

import random

from unichar.domains.toon.vocabulary import COLORS

_ANY: dict[str, tuple[str, ...]] = {
    "red": ("d33f3f", "b8302f"),
    "orange": ("ee8733", "e8743b"),
    "yellow": ("f4ca3e", "f7d94c"),
    "green": ("4caf50", "3d8b48"),
    "teal": ("25a5a0", "1f8a8c"),
    "blue": ("3f6fd8", "5199e4"),
    "purple": ("8053c9", "6a3fb0"),
    "pink": ("ef7fb0", "ff9ec4"),
    "brown": ("8a5a3b", "6f4528"),
    "black": ("2b2b2b", "1c1c22"),
    "white": ("f4f4f0", "ffffff"),
    "gray": ("9a9a9a", "7d8186"),
}
assert tuple(_ANY) == COLORS  # the toons' words, so that both worlds share them

PALETTES: dict[str, dict[str, tuple[str, ...]]] = {
    "any": _ANY,
    "bright": {name: _ANY[name] for name in COLORS if name not in ("brown", "black", "white", "gray")},
    "red": {"red": ("b0413e", "8f303e")},
    "dark": {"black": ("262e33", "33312e"), "gray": ("3c4f5c", "4a4a55"), "brown": ("4a312c",)},
    "ink": {**_ANY, "black": ("000000", "1c1c22")},
    "paper": {
        "white": ("ffffff",),
        "cream": ("f6efdd",),
        "light blue": ("dcecf7",),
        "light pink": ("fbe0e4",),
    },
    "hair": {
        "black": ("2c1b18", "16130f"),
        "brown": ("724133", "8a5a35"),
        "blond": ("d6b370", "f0d37c"),
        "red": ("c93305", "b5432a"),
        "gray": ("a9a9a9", "8f9299"),
        "white": ("ece8e2",),
        "orange": ("e88c2e",),
        "pink": ("f59797", "ff8ac4"),
        "blue": ("3b6fe0", "4a90c2"),
        "green": ("4caf50",),
        "purple": ("7b4fb5",),
        "teal": ("2aa198",),
    },
    "skin": {
        "light": ("ffdbb4", "f5d0c5"),
        "tan": ("e0ac7e", "d9996a"),
        "brown": ("a66637", "ae5d29"),
        "dark": ("614335", "553725"),
    },
    "wall": {
        **_ANY,
        "light blue": ("b6e3f4", "cfe6ff"),
        "light pink": ("ffd5dc",),
        "light green": ("d1f4d9",),
        "light yellow": ("fff3b0",),
        "violet": ("c0aede", "d9c8f2"),
        "dark blue": ("1d2a5c", "22406e"),
        "dark green": ("1f4d36",),
        "beige": ("efe2c8",),
    },
}
"""Palette -> colour's name -> shades as hex digits."""

_JITTER = 10
"""How far each channel of a shade may move, out of 255."""


def pick(palette: str, rng: random.Random) -> tuple[str, str]:
    """(name, hex digits) of a random colour of a palette, its shade a little changed."""
    name = rng.choice(list(PALETTES[palette]))
    return name, shade(palette, name, rng)


def shade(palette: str, name: str, rng: random.Random) -> str:
    """Hex digits of a random shade of a named colour."""
    digits = rng.choice(PALETTES[palette][name])
    channels = []
    for start in (0, 2, 4):
        moved = int(digits[start : start + 2], 16) + rng.randint(-_JITTER, _JITTER)
        channels.append(min(255, max(0, moved)))
    return "".join(f"{channel:02x}" for channel in channels)


def rgb(digits: str) -> tuple[int, int, int]:
    """(red, green, blue) in 0..255 of six hex digits."""
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)
