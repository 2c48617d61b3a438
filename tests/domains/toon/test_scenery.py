"""Scenery: a drawing for every background and prop of the vocabulary, no two alike."""

from PIL import Image, ImageChops

from unichar.domains.toon.pen import Pen
from unichar.domains.toon.scenery import BACKGROUNDS, PROPS, ground_shadow
from unichar.domains.toon.vocabulary import SCENE

PAPER = (1, 2, 3)


def blank() -> Image.Image:
    return Image.new("RGB", (64, 64), PAPER)


def test_every_background_is_drawn_covers_the_picture_and_is_like_no_other() -> None:
    assert set(BACKGROUNDS) == set(SCENE["background"])
    seen = set()
    for draw in BACKGROUNDS.values():
        image = blank()
        draw(Pen(image))
        assert PAPER not in {color for _, color in image.getcolors(64 * 64)}
        seen.add(image.tobytes())
    assert len(seen) == len(BACKGROUNDS)


def test_every_prop_but_nothing_is_drawn_where_the_hand_is() -> None:
    assert set(PROPS) == set(SCENE["prop"]) - {"nothing"}
    for draw in PROPS.values():
        image = blank()
        draw(Pen(image), (0.5, 0.6))
        box = ImageChops.difference(image, blank()).getbbox()
        assert box is not None and box[0] <= 32 + 6 and box[2] >= 32 - 6


def test_every_background_has_a_shadow() -> None:
    for name in BACKGROUNDS:
        image = blank()
        ground_shadow(Pen(image), name)
        assert image.getpixel((32, 61)) != PAPER
