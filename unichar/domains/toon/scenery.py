"""What stands around a toon: backgrounds, and the props a toon can hold."""

from unichar.domains.toon.pen import INK, Pen, Point, darker

# Boxes are wider than the picture (half width 0.6 around the middle), so that no edge shows at the sides.


def _studio(pen: Pen) -> None:
    pen.box((0.5, 0.5), 0.6, 0.6, (226, 230, 236), ink=None)
    pen.oval((0.5, 0.98), 0.62, 0.16, (206, 211, 220), ink=None)


def _beach(pen: Pen) -> None:
    # Sky and sun, sea, sand.
    pen.box((0.5, 0.25), 0.6, 0.4, (156, 214, 247), ink=None)
    pen.oval((0.85, 0.14), 0.09, 0.09, (255, 226, 92), ink=None)
    pen.box((0.5, 0.6), 0.6, 0.14, (64, 146, 214), ink=None)
    pen.box((0.5, 0.86), 0.6, 0.16, (242, 218, 160), ink=None)


def _tree(pen: Pen, x: float, base: float, height: float) -> None:
    # A trunk, and two triangles of which the lower one is in front.
    pen.box((x, base - 0.03), 0.02, 0.06, (118, 80, 52), ink=None)
    for i, green in enumerate(((38, 104, 66), (46, 122, 76))):
        top = base - height + i * height * 0.3
        pen.shape([(x, top), (x - 0.11, top + height * 0.55), (x + 0.11, top + height * 0.55)], green, None)


def _forest(pen: Pen) -> None:
    pen.box((0.5, 0.5), 0.6, 0.6, (190, 228, 192), ink=None)

    # The tallest trees stand at the sides, where the figure does not hide them.
    for x, height in ((0.06, 0.5), (0.27, 0.42), (0.5, 0.46), (0.73, 0.42), (0.94, 0.5)):
        _tree(pen, x, 0.72, height)
    pen.box((0.5, 0.87), 0.6, 0.16, (98, 160, 84), ink=None)


def _city(pen: Pen) -> None:
    pen.box((0.5, 0.5), 0.6, 0.6, (252, 190, 140), ink=None)

    # Towers with four rows of two lit windows.
    for x, top in ((0.08, 0.24), (0.28, 0.4), (0.72, 0.36), (0.92, 0.2)):
        pen.box((x, (top + 0.86) / 2), 0.085, (0.86 - top) / 2, (92, 96, 122), ink=None)
        for row in range(4):
            for column in (-0.04, 0.04):
                pen.box((x + column, top + 0.07 + row * 0.1), 0.018, 0.022, (255, 226, 128), ink=None)

    # The street.
    pen.box((0.5, 0.94), 0.6, 0.1, (76, 76, 88), ink=None)


def _snow(pen: Pen) -> None:
    pen.box((0.5, 0.5), 0.6, 0.6, (172, 200, 232), ink=None)
    pen.oval((0.5, 1.02), 0.75, 0.34, (250, 251, 255), ink=None)

    # Flakes beside the figure.
    for x, y in (
        (0.1, 0.1),
        (0.3, 0.06),
        (0.72, 0.08),
        (0.9, 0.2),
        (0.08, 0.36),
        (0.93, 0.46),
        (0.16, 0.56),
        (0.86, 0.64),
    ):
        pen.oval((x, y), 0.018, 0.018, (255, 255, 255), ink=None)


def _night(pen: Pen) -> None:
    # Sky and moon.
    pen.box((0.5, 0.5), 0.6, 0.6, (30, 30, 72), ink=None)
    pen.oval((0.84, 0.14), 0.085, 0.085, (250, 240, 196), ink=None)

    # Stars beside the figure, then the ground.
    for x, y in (
        (0.1, 0.12),
        (0.26, 0.08),
        (0.68, 0.06),
        (0.06, 0.34),
        (0.2, 0.5),
        (0.9, 0.4),
        (0.82, 0.56),
        (0.1, 0.64),
    ):
        pen.star((x, y), 0.024, (255, 236, 150), None)
    pen.box((0.5, 0.93), 0.6, 0.1, (40, 62, 62), ink=None)


def _room(pen: Pen) -> None:
    # A wall with a window, a sofa, the floor.
    pen.box((0.5, 0.4), 0.6, 0.5, (240, 214, 196), ink=None)
    pen.box((0.16, 0.27), 0.11, 0.13, (168, 220, 246), ink=(140, 92, 60))
    pen.line([(0.16, 0.15), (0.16, 0.39)], (140, 92, 60))
    pen.box((0.87, 0.66), 0.14, 0.14, (124, 132, 196), corner=0.04, ink=None)
    pen.box((0.5, 0.9), 0.6, 0.12, (176, 122, 86), ink=None)


def _garden(pen: Pen) -> None:
    # Sky, fence, lawn.
    pen.box((0.5, 0.4), 0.6, 0.5, (206, 236, 250), ink=None)
    for x in (0.04, 0.18, 0.32, 0.68, 0.82, 0.96):
        pen.box((x, 0.63), 0.05, 0.14, (252, 250, 244), ink=(196, 190, 180))
    pen.box((0.5, 0.88), 0.6, 0.15, (132, 196, 100), ink=None)

    # Flowers at the edges of the lawn.
    for x, y, color in (
        (0.08, 0.82, (240, 96, 120)),
        (0.2, 0.92, (255, 214, 82)),
        (0.82, 0.92, (240, 96, 120)),
        (0.93, 0.82, (255, 214, 82)),
    ):
        pen.oval((x, y), 0.028, 0.028, color, ink=None)


BACKGROUNDS = {
    "studio": _studio,
    "beach": _beach,
    "forest": _forest,
    "city": _city,
    "snow": _snow,
    "night": _night,
    "room": _room,
    "garden": _garden,
}


def _cup(pen: Pen, at: Point) -> None:
    x, y = at
    # Handle, cup, tea.
    pen.oval((x + 0.055, y - 0.03), 0.03, 0.03, (255, 255, 255))
    pen.box((x, y - 0.03), 0.05, 0.055, (255, 255, 255), corner=0.015)
    pen.oval((x, y - 0.075), 0.04, 0.014, (128, 84, 56))


def _book(pen: Pen, at: Point) -> None:
    x, y = at
    # Cover, pages, title.
    pen.box((x, y - 0.02), 0.062, 0.078, (176, 42, 56), corner=0.01)
    pen.box((x + 0.045, y - 0.02), 0.014, 0.066, (250, 244, 226), ink=None)
    pen.box((x - 0.012, y - 0.045), 0.026, 0.014, (250, 214, 120), ink=None)


def _flower(pen: Pen, at: Point) -> None:
    x, y = at
    # Stem, five petals, the middle.
    pen.line([(x, y + 0.03), (x, y - 0.1)], (60, 140, 70), 0.018)
    for dx, dy in ((0, -0.05), (0.047, -0.015), (0.03, 0.04), (-0.03, 0.04), (-0.047, -0.015)):
        pen.oval((x + dx, y - 0.13 + dy), 0.03, 0.03, (252, 130, 178))
    pen.oval((x, y - 0.13), 0.028, 0.028, (255, 216, 84))


def _balloon(pen: Pen, at: Point) -> None:
    x, y = at
    # String, knot, balloon, a spot of light.
    pen.line([(x, y), (x + 0.05, y - 0.16)], INK, 0.008)
    pen.shape([(x + 0.05, y - 0.175), (x + 0.03, y - 0.145), (x + 0.07, y - 0.145)], (226, 52, 66))
    pen.oval((x + 0.05, y - 0.26), 0.085, 0.1, (236, 60, 74))
    pen.oval((x + 0.02, y - 0.3), 0.02, 0.026, (255, 190, 196), ink=None)


def _fish(pen: Pen, at: Point) -> None:
    x, y = at
    blue = (84, 176, 232)

    # Tail, body, eye.
    pen.shape([(x + 0.07, y), (x + 0.13, y - 0.045), (x + 0.13, y + 0.045)], blue)
    pen.oval((x + 0.02, y), 0.08, 0.045, blue)
    pen.oval((x - 0.028, y - 0.01), 0.01, 0.01, INK, ink=None)


def _wand(pen: Pen, at: Point) -> None:
    x, y = at
    pen.line([(x - 0.02, y + 0.05), (x + 0.04, y - 0.12)], (120, 78, 50), 0.022)
    pen.star((x + 0.045, y - 0.15), 0.065, (255, 218, 84))


def _ball(pen: Pen, at: Point) -> None:
    x, y = at
    pen.oval((x, y - 0.02), 0.07, 0.07, (255, 255, 255))
    pen.slice((x, y - 0.02), 0.07, 0.07, 200, 340, (236, 70, 70))
    pen.slice((x, y - 0.02), 0.07, 0.07, 20, 160, (70, 120, 230))


PROPS = {
    "cup": _cup,
    "book": _book,
    "flower": _flower,
    "balloon": _balloon,
    "fish": _fish,
    "wand": _wand,
    "ball": _ball,
}


def ground_shadow(pen: Pen, background: str) -> None:
    """A soft spot under the feet, so that nobody floats unless jumping."""
    floor = {
        "studio": (206, 211, 220),
        "beach": (242, 218, 160),
        "forest": (98, 160, 84),
        "city": (76, 76, 88),
        "snow": (250, 251, 255),
        "night": (40, 62, 62),
        "room": (176, 122, 86),
        "garden": (132, 196, 100),
    }

    # Darker than the floor, so that it is seen on every background.
    pen.oval((0.5, 0.955), 0.17, 0.028, darker(floor[background], 0.25), ink=None)
