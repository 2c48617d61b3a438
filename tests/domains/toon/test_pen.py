"""The pen: unit coordinates, whatever the size of the picture, and outlines unless told otherwise."""

import numpy as np
import pytest
from PIL import Image

from unichar.domains.toon.pen import INK, Pen, darker, lighter

RED = (200, 40, 40)
PAPER = (255, 255, 255)


def drawn(size: int, name: str, *arguments: object, dx: float = 0.0, **options: object) -> np.ndarray:
    """[size, size, 3] after one stroke on white."""
    image = Image.new("RGB", (size, size), PAPER)
    getattr(Pen(image).moved(dx, 0.0), name)(*arguments, **options)
    return np.asarray(image)


def share(pixels: np.ndarray, color: tuple[int, int, int]) -> float:
    return float((pixels == color).all(axis=2).mean())


@pytest.mark.parametrize("size", [100, 400])
def test_a_box_covers_the_same_share_at_any_size(size: int) -> None:
    pixels = drawn(size, "box", (0.5, 0.5), 0.25, 0.25, RED, ink=None)
    assert share(pixels, RED) == pytest.approx(0.25, abs=0.02)
    assert share(pixels, INK) == 0


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("oval", ((0.5, 0.5), 0.3, 0.2, RED)), ("shape", ([(0.2, 0.2), (0.8, 0.2), (0.5, 0.8)], RED))],
)
def test_shapes_have_an_outline_unless_told_otherwise(name: str, arguments: tuple) -> None:
    assert share(drawn(200, name, *arguments), INK) > 0.01
    assert share(drawn(200, name, *arguments, ink=None), INK) == 0


def test_a_moved_pen_moves_everything() -> None:
    here, there = (drawn(100, "star", (0.4, 0.5), 0.2, RED, dx=dx) for dx in (0.0, 0.1))
    assert (here[:, :90] == there[:, 10:]).all()


def test_a_limb_is_an_outlined_line() -> None:
    pixels = drawn(200, "limb", [(0.2, 0.5), (0.8, 0.5)], RED, 0.1)
    assert tuple(pixels[100, 100]) == RED
    assert share(pixels, INK) > 0.005


def test_colours_move_toward_white_and_toward_the_ink() -> None:
    assert lighter(RED, 0.0) == RED and lighter(RED, 1.0) == PAPER
    assert darker(RED, 0.0) == RED and darker(RED, 1.0) == INK
