"""Drawing in unit coordinates: (0, 0) is the top left corner of the picture, (1, 1) the bottom right."""

import math

from PIL import Image, ImageDraw

Color = tuple[int, int, int]
Point = tuple[float, float]

INK: Color = (46, 38, 52)
"""Colour of outlines."""
LINE = 0.012
"""Width of outlines."""


def lighter(color: Color, amount: float) -> Color:
    """`color` moved toward white by `amount` in 0..1."""
    r, g, b = (round(c + (255 - c) * amount) for c in color)
    return r, g, b


def darker(color: Color, amount: float) -> Color:
    """`color` moved toward the ink by `amount` in 0..1."""
    # Toward the ink rather than black, so that shades suit the outlines.
    r, g, b = (round(c + (i - c) * amount) for c, i in zip(color, INK, strict=True))
    return r, g, b


class Pen:
    """A brush on a square RGB image; shapes get the ink outline unless told otherwise."""

    def __init__(self, image: Image.Image, *, dx: float = 0.0, dy: float = 0.0) -> None:
        self.image = image
        self.side = image.width
        self.dx, self.dy = dx, dy
        self._draw = ImageDraw.Draw(image)

    def moved(self, dx: float, dy: float) -> "Pen":
        """The same canvas with the origin shifted."""
        # Shifts add up, so a moved pen can be moved again.
        return Pen(self.image, dx=self.dx + dx, dy=self.dy + dy)

    def _at(self, point: Point) -> Point:
        return (point[0] + self.dx) * self.side, (point[1] + self.dy) * self.side

    def _width(self, width: float) -> int:
        # At least one pixel, or thin lines would vanish in small pictures.
        return max(1, round(width * self.side))

    def _box(self, center: Point, rx: float, ry: float) -> tuple[Point, Point]:
        # Corners as Pillow takes them, in pixels: left top, right bottom.
        (x, y), r, s = self._at(center), rx * self.side, ry * self.side
        return (x - r, y - s), (x + r, y + s)

    def oval(self, center: Point, rx: float, ry: float, fill: Color, ink: Color | None = INK) -> None:
        """A filled ellipse."""
        self._draw.ellipse(
            self._box(center, rx, ry), fill=fill, outline=ink, width=self._width(LINE) if ink else 0
        )

    def box(
        self,
        center: Point,
        rx: float,
        ry: float,
        fill: Color,
        *,
        corner: float = 0.0,
        ink: Color | None = INK,
    ) -> None:
        """A filled rectangle with rounded corners of radius `corner`."""
        self._draw.rounded_rectangle(
            self._box(center, rx, ry),
            radius=corner * self.side,
            fill=fill,
            outline=ink,
            width=self._width(LINE) if ink else 0,
        )

    def shape(self, points: list[Point], fill: Color, ink: Color | None = INK) -> None:
        """A filled polygon."""
        # Pillow draws no thick outline of a polygon, so it is a closed polyline.
        corners = [self._at(p) for p in points]
        self._draw.polygon(corners, fill=fill)
        if ink:
            self._draw.line([*corners, corners[0]], fill=ink, width=self._width(LINE), joint="curve")

    def line(self, points: list[Point], ink: Color = INK, width: float = LINE) -> None:
        """A polyline with round ends."""
        corners = [self._at(p) for p in points]
        self._draw.line(corners, fill=ink, width=self._width(width), joint="curve")

        # Pillow ends lines square.
        for x, y in (corners[0], corners[-1]):
            r = width * self.side / 2
            self._draw.ellipse((x - r, y - r, x + r, y + r), fill=ink)

    def limb(self, points: list[Point], fill: Color, width: float) -> None:
        """A thick outlined line: an arm or a leg."""
        # The wider line in ink leaves an outline on both sides of the narrower one.
        self.line(points, INK, width + 2 * LINE)
        self.line(points, fill, width)

    def arc(self, center: Point, rx: float, ry: float, start: float, end: float, width: float = LINE) -> None:
        """Part of an ellipse's edge, from `start` to `end` degrees, clockwise from three o'clock."""
        self._draw.arc(self._box(center, rx, ry), start, end, fill=INK, width=self._width(width))

    def slice(self, center: Point, rx: float, ry: float, start: float, end: float, fill: Color) -> None:
        """A filled half-moon: the part of an ellipse beyond the chord from `start` to `end` degrees."""
        self._draw.chord(
            self._box(center, rx, ry), start, end, fill=fill, outline=INK, width=self._width(LINE)
        )

    def star(self, center: Point, radius: float, fill: Color, ink: Color | None = INK) -> None:
        """A five-pointed star."""
        points = []
        for i in range(10):
            # Tips and notches in turn, the first tip at the top.
            r = radius if i % 2 == 0 else radius * 0.45
            angle = math.pi * (i / 5 - 0.5)
            points.append((center[0] + r * math.cos(angle), center[1] + r * math.sin(angle)))
        self.shape(points, fill, ink)
