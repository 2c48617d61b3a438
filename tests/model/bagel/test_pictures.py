"""Sizes and backgrounds of pictures that are seen. test_parity.py compares sizes with the published rule."""

import pytest
import torch
from PIL import Image

from unichar.model.bagel.pictures import on_white, seen_in_replies, seen_in_training

SEEN = seen_in_training(14, 980)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_becomes_white(mode):
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    image.paste((200, 0, 0, 255), (10, 10, 30, 30))
    made = image.convert(mode)
    if mode == "P":
        made.info["transparency"] = made.getpixel((0, 0))
    flat = on_white(made)
    assert flat.mode == "RGB"
    assert flat.getpixel((1, 1)) == (255, 255, 255)
    assert flat.getpixel((20, 20)) != (255, 255, 255)


def test_pixels_are_multiples_of_the_patch():
    pixels = SEEN.pixels(Image.new("RGB", (500, 300), (255, 255, 255)))
    assert pixels.shape == (3, 378, 630)
    assert torch.equal(pixels, torch.ones(3, 378, 630))


@pytest.mark.parametrize("size", [(1, 1), (14, 14), (979, 981), (4000, 4000), (40, 320)])
def test_no_picture_exceeds_the_position_table(size):
    for rule in (SEEN, seen_in_replies(14, 980), seen_in_training(14, 98)):
        for pictures in (1, 4):
            sides = rule.fit(*size, pictures=pictures)
            assert all(side % 14 == 0 and 14 <= side <= rule.longest for side in sides)


def test_a_ribbon_is_refused():
    with pytest.raises(ValueError, match=r"10 x 900 pixels is longer than 8:1: crop it"):
        SEEN.pixels(Image.new("RGB", (10, 900)))
