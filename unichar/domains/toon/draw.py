"""The renderer: identity + scene -> picture, deterministic for a seed, at any size.

`draw(identity, scene, size=128, seed=0)`; the seed moves the figure by up to two hundredths of the canvas.
"""

import random

from PIL import Image

from unichar.domains.toon import face, scenery
from unichar.domains.toon.pen import INK, Color, Pen, Point, darker, lighter
from unichar.domains.toon.vocabulary import Identity, Scene

# Colours of the vocabulary. Black is lighter than the ink, so that outlines stay visible on it.
PAINT: dict[str, Color] = {
    "red": (220, 58, 58),
    "orange": (244, 140, 46),
    "yellow": (248, 208, 64),
    "green": (86, 176, 84),
    "teal": (62, 170, 170),
    "blue": (72, 118, 222),
    "purple": (146, 88, 200),
    "pink": (242, 142, 186),
    "brown": (150, 100, 66),
    "black": (66, 62, 74),
    "white": (246, 244, 240),
    "gray": (154, 156, 166),
}
SKIN: dict[str, Color] = {
    "light": (252, 222, 200),
    "tan": (232, 188, 148),
    "brown": (182, 128, 88),
    "dark": (120, 80, 58),
}

ARMS: dict[str, tuple[list[Point], list[Point]]] = {
    "standing": ([(0.39, 0.66), (0.33, 0.80)], [(0.61, 0.66), (0.67, 0.80)]),
    "waving": ([(0.39, 0.66), (0.26, 0.62), (0.20, 0.48)], [(0.61, 0.66), (0.67, 0.80)]),
    "cheering": ([(0.39, 0.66), (0.26, 0.62), (0.20, 0.48)], [(0.61, 0.66), (0.74, 0.62), (0.80, 0.48)]),
    "posing": ([(0.39, 0.66), (0.26, 0.73), (0.37, 0.80)], [(0.61, 0.66), (0.74, 0.73), (0.65, 0.80)]),
    "jumping": ([(0.39, 0.66), (0.22, 0.66)], [(0.61, 0.66), (0.78, 0.66)]),
}
"""Pose -> joints of the viewer's left and right arm, shoulder to hand. The right hand holds the prop."""


def draw(identity: Identity, scene: Scene, *, size: int = 128, seed: int = 0) -> Image.Image:
    """An RGB picture of `size` x `size` pixels (drawn at twice the size, then reduced)."""
    # Twice the size: reducing smooths the edges, which Pillow draws hard.
    image = Image.new("RGB", (2 * size, 2 * size))
    pen = Pen(image)

    # The background stays where it is; only the figure moves with the seed.
    scenery.BACKGROUNDS[scene.background](pen)
    scenery.ground_shadow(pen, scene.background)

    # The figure is not always on the same pixels, so that nobody can learn its place by heart.
    rng = random.Random(seed)
    lift = -0.05 if scene.pose == "jumping" else 0.0
    figure = pen.moved(rng.uniform(-0.02, 0.02), rng.uniform(-0.01, 0.01) + lift)
    _figure(figure, identity, scene)

    return image.reduce(2)


def _figure(pen: Pen, identity: Identity, scene: Scene) -> None:
    # A human's colour is that of the hair; face and hands have the skin's.
    coat = PAINT[identity.color]
    fur = SKIN[identity.skin] if identity.species == "human" else coat

    # From back to front; later shapes cover earlier ones.
    _behind(pen, identity.species, coat)
    _legs(pen, darker(fur, 0.12), jumping=scene.pose == "jumping")
    _body(pen, PAINT[identity.outfit], identity.pattern)

    left, right = ARMS[scene.pose]
    sleeve = PAINT[identity.outfit]
    for joints in (left, right):
        pen.limb(joints, sleeve, 0.055)

    # The head covers the shoulders, the hands cover the head when the arms are up.
    face.head(pen, identity, coat, fur, scene.expression)
    for joints in (left, right):
        pen.oval(joints[-1], 0.038, 0.038, fur)

    # A part of the hand in front of the prop makes it look held.
    if scene.prop != "nothing":
        x, y = right[-1]
        scenery.PROPS[scene.prop](pen, (x + 0.02, y))
        pen.oval((x - 0.012, y + 0.012), 0.03, 0.03, fur)


def _behind(pen: Pen, species: str, coat: Color) -> None:
    """Tails, wings and long hair: whatever shows from behind the body."""
    # On the viewer's right, where the arm seldom hides it.
    tail = [(0.58, 0.84), (0.72, 0.88), (0.76, 0.78)]
    if species in ("cat", "dog"):
        pen.limb(tail, coat, 0.035)
    elif species == "fox":
        pen.limb(tail, coat, 0.075)
        pen.oval((0.76, 0.77), 0.045, 0.05, (250, 246, 240))
    elif species == "rabbit":
        pen.oval((0.66, 0.86), 0.05, 0.05, lighter(coat, 0.5))
    elif species == "dragon":
        for side in (-1, 1):
            wing = [
                (0.5 + side * 0.1, 0.66),
                (0.5 + side * 0.34, 0.52),
                (0.5 + side * 0.3, 0.68),
                (0.5 + side * 0.24, 0.76),
            ]
            pen.shape(wing, lighter(coat, 0.35))
    elif species == "human":
        pen.box((0.5, 0.46), 0.225, 0.19, coat, corner=0.14)


def _legs(pen: Pen, color: Color, *, jumping: bool) -> None:
    # Legs apart in the air.
    spread = 0.05 if jumping else 0.0

    # The foot is drawn over the end of the leg, a little outward.
    for side in (-1, 1):
        foot = (0.5 + side * (0.075 + spread), 0.92)
        pen.limb([(0.5 + side * 0.065, 0.82), foot], color, 0.07)
        pen.oval((foot[0] + side * 0.012, 0.93), 0.052, 0.034, darker(color, 0.12))


def _body(pen: Pen, color: Color, pattern: str) -> None:
    center, rx, ry = (0.5, 0.72), 0.145, 0.15
    pen.oval(center, rx, ry, color)

    # The pattern is lighter than the shirt, unless that is nearly white.
    mark = lighter(color, 0.72) if sum(color) < 600 else (140, 140, 152)

    # Plain clothes have no pattern.
    if pattern == "striped":
        for dy in (-0.07, 0.0, 0.07):
            # As long as the oval is wide there, without touching its outline.
            half = 0.93 * rx * (1 - (dy / ry) ** 2) ** 0.5 - 0.012
            pen.line([(0.5 - half, 0.72 + dy), (0.5 + half, 0.72 + dy)], mark, 0.026)
    elif pattern == "dotted":
        for dx, dy in (
            (-0.08, -0.05),
            (0.08, -0.05),
            (0, 0.0),
            (-0.08, 0.055),
            (0.08, 0.055),
            (0, 0.1),
            (0, -0.1),
        ):
            pen.oval((0.5 + dx, 0.72 + dy), 0.02, 0.02, mark, ink=None)
    elif pattern == "starred":
        pen.star((0.5, 0.735), 0.085, mark, INK)
