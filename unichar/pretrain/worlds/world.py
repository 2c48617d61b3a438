"""Random pictures of drawn worlds, each with the facts of what it shows.

    drawn = sample(World(art), random.Random(0), size=128)
    drawn.image, drawn.facts["mood"]

A picture is a figure in front of a wall or in a place, perhaps with a prop and weather; or things alone. The
facts are plain JSON, so that captions, questions and judges can be made from a cached picture without drawing
it again. Everything follows from the generator.
"""

import dataclasses
import random
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageChops, ImageFilter

from unichar.pretrain.worlds import scenery
from unichar.pretrain.worlds.art import EMOJI_SETS, Art
from unichar.pretrain.worlds.figures import (
    Expression,
    Figure,
    draw_figure,
    random_expression,
    random_figure,
)
from unichar.pretrain.worlds.styles import load_styles, training_styles

_WEIGHTS = {"person": 3.0, "creature": 1.5, "robot": 1.5, "plant": 1.0, "face": 0.5}
"""How often figures of a kind are drawn: styles of people have the most to vary."""
_DULL = ("cameo", "gaze", "initial-face", "shadows")
"""Styles with little to say about a figure; they come a fourth as often as their kind."""
_POSITIONS = ("left", "center", "right")
_FLAT = (
    "avataaars",
    "big-ears",
    "big-smile",
    "bottts",
    "dylan",
    "miniavs",
    "personas",
    "thumbs",
    "voxel-art",
)
"""Styles without outlines, a fourth of whose figures are given some: one more kind of hand."""


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A picture and what it shows."""

    image: Image.Image
    """RGB."""
    facts: dict[str, Any]
    """Plain JSON. `subject` is `figure` or `things`."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Where a figure is, and how."""

    wall: str = "any"
    """Colour of a plain wall, a name of the palette "wall" or "any"; empty in a place."""
    place: str = ""
    """A key of `scenery.places()`; empty in front of a wall."""
    weather: str = ""
    prop: str = ""
    """Name of an emoji beside the figure."""
    position: str = "center"
    size: str = "normal"
    """`small`, `normal` or `close`."""
    flip: bool = False
    """Whether the figure is mirrored."""
    treatment: str = ""
    """`outlined` or `black and white`: what was done to the drawn figure."""


def sample(art: Art, rng: random.Random, size: int, *, figures: float = 0.85) -> Drawn:
    """A random picture [size, size]; `figures` is the share with a figure, the rest shows things alone."""
    if rng.random() >= figures:
        return sample_things(art, rng, size)

    styles = training_styles()
    weights = [_WEIGHTS[style.kind] * (0.25 if name in _DULL else 1) for name, style in styles.items()]
    name = rng.choices(list(styles), weights)[0]
    style = styles[name]
    figure = random_figure(style, rng)
    scene = dataclasses.replace(random_scene(rng, art), treatment=_random_treatment(name, rng))
    return draw_scene(figure, random_expression(style, rng), scene, rng, size, art)


def _random_treatment(style: str, rng: random.Random) -> str:
    chance = rng.random()
    if style in _FLAT and chance < 0.25:
        return "outlined"
    return "black and white" if chance > 0.96 else ""


def random_scene(rng: random.Random, art: Art) -> Scene:
    """A random scene: half of the time a wall, half a place; a prop in a third of them."""
    place = rng.choice(list(scenery.places())) if rng.random() < 0.5 else ""
    weather = ""
    if place in scenery.OUTDOORS and rng.random() < 0.4:
        weather = rng.choice(scenery.WEATHER)

    return Scene(
        wall="" if place else "any",
        place=place,
        weather=weather,
        prop=rng.choice(art.things) if rng.random() < 0.35 else "",
        position=rng.choices(_POSITIONS, (1, 2, 1))[0],
        size=rng.choices(("small", "normal", "close"), (1, 3, 1))[0],
        flip=rng.random() < 0.5,
    )


def draw_scene(
    figure: Figure, face: Expression, scene: Scene, rng: random.Random, size: int, art: Art
) -> Drawn:
    """A figure with an expression in a scene, and the facts.

    `rng` draws what the scene leaves open: the wall's colour for "any", things of a place, exact positions.
    """
    style = load_styles()[figure.style]
    facts: dict[str, Any] = {
        "subject": "figure",
        "style": figure.style,
        "identity": figure.key,
        "variants": figure.variants,
        "colors": {color: name for color, (name, _) in figure.colors.items()},
        "mood": face.mood,
        "labels": face.labels,
        "face": face.variants,
        "flip": scene.flip,
        "treatment": scene.treatment,
    }

    # Faces that fill the picture leave no room for a scene.
    if style.frame == "full":
        whole = _drawn(figure, face, scene, size)
        return Drawn(image=whole.convert("RGB"), facts=facts)

    if scene.place:
        picture = scenery.soften(scenery.place(scene.place, rng, size, art), rng)
        wall = ""
    else:
        picture, wall = scenery.wall(rng, size, scene.wall)
    if scene.weather in ("sunshine", "a rainbow"):
        picture = scenery.add_weather(picture, scene.weather, rng)

    _paste_figure(picture, figure, face, scene, rng)
    if scene.prop:
        facts["prop_side"] = _paste_prop(picture, scene, rng, art)
    if scene.weather in ("rain", "snow", "fog"):
        picture = scenery.add_weather(picture, scene.weather, rng)

    facts |= {"wall": wall, "place": scene.place, "weather": scene.weather, "prop": scene.prop}
    facts |= {"position": scene.position, "size": scene.size}
    return Drawn(image=picture, facts=facts)


def _drawn(figure: Figure, face: Expression, scene: Scene, side: int) -> Image.Image:
    """RGBA picture [side, side] of the figure, treated and mirrored as the scene says."""
    if scene.treatment == "outlined":
        drawn = _outlined(draw_figure(figure, face, size=2 * side))
    else:
        drawn = draw_figure(figure, face, size=side)
    if scene.treatment == "black and white":
        drawn = Image.merge("LA", (drawn.convert("L"), drawn.getchannel("A"))).convert("RGBA")
    return drawn.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if scene.flip else drawn


def _outlined(large: Image.Image) -> Image.Image:
    """The figure at half its size, with a dark line wherever its colours or its edge change."""
    strength = Image.new("L", large.size)
    for channel in large.split():
        spread = ImageChops.difference(
            channel.filter(ImageFilter.MaxFilter(3)), channel.filter(ImageFilter.MinFilter(3))
        )
        strength = ImageChops.lighter(strength, spread)

    # Soft changes, as shadows, get no line.
    line = strength.point(lambda value: 255 if value > 70 else 0)
    ink = Image.new("RGBA", large.size, (20, 18, 24, 255))
    return Image.composite(ink, large, line).resize(
        (large.width // 2, large.height // 2), Image.Resampling.LANCZOS
    )


def _paste_figure(
    picture: Image.Image, figure: Figure, face: Expression, scene: Scene, rng: random.Random
) -> None:
    """Paste the figure at its size and position; busts stand on the lower edge."""
    size, frame = picture.width, load_styles()[figure.style].frame
    scale = {"small": (0.5, 0.62), "normal": (0.72, 0.95), "close": (1.1, 1.35)}[scene.size]
    side = round(size * rng.uniform(*scale))
    drawn = _drawn(figure, face, scene, side)

    # Left and right mean the middle of a third, even where a large figure is then cut.
    middle = {"left": 0.32, "center": 0.5, "right": 0.68}[scene.position] * size
    left = round(middle - side / 2 + rng.uniform(-0.03, 0.03) * size)
    top = size - side
    if frame != "bust":
        top = round((size - side) * rng.uniform(0.4, 0.9))
    elif scene.size == "close":
        top = round(-0.12 * side)
    picture.paste(drawn, (left, top), drawn)


def _paste_prop(picture: Image.Image, scene: Scene, rng: random.Random, art: Art) -> str:
    """Paste the prop low beside the figure; returns "left" or "right"."""
    size = picture.width
    where = {"left": "right", "right": "left"}.get(scene.position) or rng.choice(("left", "right"))
    side = round(size * rng.uniform(0.24, 0.36)) // 4 * 4
    icon = art.emoji(rng.choice(EMOJI_SETS), scene.prop, side)

    margin = rng.randint(0, size // 16)
    left = margin if where == "left" else size - side - margin
    picture.paste(icon, (left, size - side - rng.randint(0, size // 8)), icon)
    return where


def sample_things(art: Art, rng: random.Random, size: int) -> Drawn:
    """One or two things in front of a wall or in a place."""
    place = rng.choice(list(scenery.places())) if rng.random() < 0.3 else ""
    if place:
        picture, wall = scenery.soften(scenery.place(place, rng, size, art), rng), ""
    else:
        picture, wall = scenery.wall(rng, size)

    count = rng.choice((1, 1, 2))
    hand = rng.choice(EMOJI_SETS)
    names = rng.sample(art.things, count)
    for index, name in enumerate(names):
        side = round(size * (rng.uniform(0.5, 0.85) if count == 1 else rng.uniform(0.36, 0.48))) // 4 * 4
        icon = art.emoji(hand, name, side)

        # Two things stand side by side, in the order of their names.
        middle = 0.5 if count == 1 else (0.27, 0.73)[index]
        left = round(size * middle - side / 2 + rng.uniform(-0.02, 0.02) * size)
        picture.paste(icon, (left, round((size - side) * rng.uniform(0.4, 0.8))), icon)

    facts = {"subject": "things", "hand": hand, "things": names, "wall": wall, "place": place}
    return Drawn(image=picture, facts=facts)
