"""Figures of drawn worlds: who (style, variants, colours) and with which expression, drawn by DiceBear.

    figure = random_figure(style, rng)
    draw_figure(figure, random_expression(style, rng), size=128)      # RGBA, transparent around it

An expression is a mood such as "laughing", which means certain labels of eyes, mouth and brows, the same for
all styles that have them; or any combination, which captions then describe part by part.
"""

import dataclasses
import hashlib
import io
import random
from dataclasses import dataclass
from typing import Any

from PIL import Image

from unichar.pretrain.worlds.colors import pick
from unichar.pretrain.worlds.styles import FigureStyle, load_styles

MOODS: dict[str, dict[str, tuple[str, ...]]] = {
    "smiling": {"eyes": ("open",), "mouth": ("smile", "cat"), "brows": ("neutral", "raised")},
    "laughing": {"eyes": ("happy", "closed", "open"), "mouth": ("laugh",), "brows": ("neutral", "raised")},
    "sad": {"eyes": ("open", "sad", "closed"), "mouth": ("sad",), "brows": ("sad", "neutral")},
    "crying": {"eyes": ("tears",), "mouth": ("sad", "open"), "brows": ("sad",)},
    "angry": {"eyes": ("angry",), "mouth": ("sad", "teeth", "flat", "angry"), "brows": ("angry", "neutral")},
    "frowning": {"eyes": ("open", "squint"), "mouth": ("sad", "teeth", "flat"), "brows": ("angry",)},
    "surprised": {"eyes": ("wide",), "mouth": ("open",), "brows": ("raised", "neutral")},
    "sleepy": {"eyes": ("closed", "sleepy"), "mouth": ("flat", "smile"), "brows": ("neutral",)},
    "winking": {"eyes": ("wink",), "mouth": ("smile", "laugh", "smirk"), "brows": ("neutral", "raised")},
    "calm": {"eyes": ("open",), "mouth": ("flat",), "brows": ("neutral",)},
    "smirking": {"eyes": ("open", "side", "sleepy"), "mouth": ("smirk",), "brows": ("neutral", "raised")},
    "sticking its tongue out": {
        "eyes": ("open", "happy", "wink"),
        "mouth": ("tongue",),
        "brows": ("neutral",),
    },
    "in love": {"eyes": ("hearts",), "mouth": ("smile", "laugh"), "brows": ("neutral", "raised")},
    "starstruck": {"eyes": ("stars",), "mouth": ("smile", "laugh", "open"), "brows": ("neutral", "raised")},
    "blowing a kiss": {"eyes": ("open", "wink", "closed"), "mouth": ("kiss",), "brows": ("neutral",)},
    "dizzy": {"eyes": ("dizzy",), "mouth": ("wavy", "flat", "open", "sad"), "brows": ("neutral", "sad")},
    "nervous": {"eyes": ("open", "wide", "side"), "mouth": ("teeth", "wavy"), "brows": ("sad", "raised")},
    "suspicious": {
        "eyes": ("side", "squint"),
        "mouth": ("flat", "smirk", "sad"),
        "brows": ("neutral", "angry"),
    },
}
"""Mood -> labels of eyes, mouth and brows that show it. A style without brows shows it without them."""
_MOOD_SHARE = 0.75
"""Share of expressions that are a mood; the rest combine parts at random."""
_NO_BACKGROUND = "00000000"
_DRAWS = 500
"""One figure in twenty is reserved, so a style that shows none in this many has none."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """Who: what stays the same from picture to picture."""

    style: str
    variants: dict[str, str]
    """Component of the identity -> variant; components that the figure lacks are left out."""
    colors: dict[str, tuple[str, str]]
    """Colour of the style -> (name, hex digits)."""

    @property
    def key(self) -> str:
        """16 hex digits of the identity."""
        return hashlib.sha256(repr(dataclasses.astuple(self)).encode()).hexdigest()[:16]

    @property
    def reserved(self) -> bool:
        """Whether pre-training must not see it: one identity in twenty, by a hash of what one can name."""
        named = (self.style, sorted(self.variants.items()), sorted((k, v[0]) for k, v in self.colors.items()))
        return hashlib.sha256(repr(named).encode()).digest()[0] < 13  # 13 of 256 are one in twenty


@dataclass(frozen=True, kw_only=True)
class Expression:
    """The face of one picture."""

    mood: str
    """A key of `MOODS`, a label of a style that names whole expressions, or empty."""
    variants: dict[str, str]
    """Component of the expression -> variant."""
    labels: dict[str, str]
    """`eyes`, `mouth`, `brows` or `whole` -> label of the variant."""


def random_figure(style: FigureStyle, rng: random.Random, *, reserved: bool = False) -> Figure:
    """A random figure; a reserved one if `reserved`, else none of these.

    Raises:
        ValueError: The style has too few identities for one to be reserved.
    """
    for _ in range(_DRAWS):
        figure = _draw_figure(style, rng)
        if figure.reserved == reserved:
            return figure
    raise ValueError(f"{style.name} has no reserved identity")


def _draw_figure(style: FigureStyle, rng: random.Random) -> Figure:
    variants = {}
    for component, phrases in style.parts.items():
        # Rare parts, as glasses, come a little more often than in the style itself.
        chance = style.probability(component)
        if rng.random() < (chance if chance >= 0.5 else min(0.25, 1.6 * chance)):
            variants[component] = rng.choice(list(phrases))

    # Facial hair has the colour of the hair.
    colors = {color: pick(palette, rng) for color, (palette, _) in style.colors.items()}
    if "hair" in colors and "facialHair" in colors:
        colors["facialHair"] = colors["hair"]
    return Figure(style=style.name, variants=variants, colors=colors)


def random_expression(style: FigureStyle, rng: random.Random) -> Expression:
    """A mood that the style can show, or parts that were combined at random."""
    moods = possible_moods(style)
    if moods and rng.random() < _MOOD_SHARE:
        return expression(style, rng.choice(moods), rng)
    return _read(style, {component: rng.choice(list(labels)) for component, labels in style.face.items()})


def possible_moods(style: FigureStyle) -> list[str]:
    """Moods that the style has eyes and a mouth for."""
    if "whole" in style.roles.values():
        labels = next(style.face[name] for name, role in style.roles.items() if role == "whole")
        return sorted({label for label in labels.values() if label})

    # Both must be there: with a mouth alone, a frown would be sad, angry and suspicious at once.
    if not {"eyes", "mouth"} <= set(style.roles.values()):
        return []
    return [mood for mood in MOODS if all(_choices(style, mood, name) for name in _needed(style, mood))]


def expression(style: FigureStyle, mood: str, rng: random.Random) -> Expression:
    """An expression of the mood."""
    variants = {}
    for component in style.face:
        variants[component] = rng.choice(_choices(style, mood, component))
    return _read(style, variants)


def _needed(style: FigureStyle, mood: str) -> list[str]:
    """Components that must show the mood. A frown hangs on the brows, so a style without them has none."""
    if mood == "frowning" and "brows" not in style.roles.values():
        return [*style.face, "brows"]
    return list(style.face)


def _choices(style: FigureStyle, mood: str, component: str) -> list[str]:
    """Variants of a component that show the mood."""
    if component not in style.face:
        return []
    role, labels = style.roles[component], style.face[component]
    wanted = (mood,) if role == "whole" else MOODS[mood][role]
    return [variant for variant, label in labels.items() if label in wanted]


def _read(style: FigureStyle, variants: dict[str, str]) -> Expression:
    """The expression that the variants show."""
    labels = {style.roles[name]: style.face[name][variant] for name, variant in variants.items()}
    if "whole" in labels:
        return Expression(mood=labels["whole"], variants=variants, labels=labels)

    # The first mood that every part agrees with.
    for mood in possible_moods(style):
        if all(label in MOODS[mood][role] for role, label in labels.items()):
            return Expression(mood=mood, variants=variants, labels=labels)
    return Expression(mood="", variants=variants, labels=labels)


def draw_figure(figure: Figure, face: Expression, *, size: int) -> Image.Image:
    """RGBA picture [size, size]; transparent around the figure, but for styles that fill the picture."""
    from dicebear import Avatar
    from resvg_py import svg_to_bytes

    style = load_styles()[figure.style]
    options: dict[str, Any] = {"seed": figure.key, "size": size}
    for component in {**style.parts, **style.face}:
        variant = figure.variants.get(component) or face.variants.get(component)
        options[f"{component}Probability"] = 100 if variant else 0
        if variant:
            options[f"{component}Variant"] = [variant]

    # Where the background is the face itself, it keeps its colour.
    if style.frame != "full":
        options["backgroundColor"] = [_NO_BACKGROUND]
    for color, (_, digits) in figure.colors.items():
        options[f"{color}Color"] = [digits]

    svg = Avatar(_compiled(figure.style), options).to_string()
    png = bytes(svg_to_bytes(svg_string=svg, width=size, height=size))
    return Image.open(io.BytesIO(png)).convert("RGBA")


_COMPILED: dict[str, Any] = {}


def _compiled(name: str) -> Any:
    """DiceBear's parsed style, which takes longer to make than a figure."""
    from dicebear import Style

    if name not in _COMPILED:
        _COMPILED[name] = Style(load_styles()[name].definition)
    return _COMPILED[name]
