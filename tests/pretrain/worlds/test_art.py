"""Art by others."""

import random

import pytest

from unichar.errors import MissingFile
from unichar.pretrain.worlds.art import Art, render_svg, words_of


def test_an_empty_folder_says_how_to_fill_it(tmp_path):
    with pytest.raises(MissingFile, match="fetch_art"):
        Art(tmp_path)


def test_emoji_are_drawn_in_each_hand(art):
    fluent, noto = (art.emoji(hand, "apple", 16) for hand in ("fluent-emoji-flat", "noto"))
    assert fluent.size == (16, 16) and fluent.getpixel((0, 0))[3] == 0 and fluent.getpixel((8, 8))[3] == 255
    assert fluent.getpixel((8, 8)) != noto.getpixel((8, 8))
    assert art.emoji("noto", "pomme", 16).tobytes() == noto.tobytes()  # an alias


def test_abstract_names_are_no_things(art):
    assert "apple" in art.things and not any("button" in name for name in art.things)
    assert words_of("birthday-cake") == "birthday cake"


def test_clip_art_that_cannot_be_drawn_is_passed_over(art):
    rng = random.Random(0)
    assert {art.clip(rng, 32).getpixel((16, 16)) for _ in range(8)} == {(255, 0, 0, 255)}
    with pytest.raises(ValueError):
        render_svg("no drawing", 16)


def test_photographs_are_cropped_to_squares(art):
    picture = art.photograph(random.Random(0), 32)
    assert picture.size == (32, 32) and picture.mode == "RGB"
