"""Pictures for measuring a base."""

import pytest
from PIL import Image

from unichar.pretrain.worlds.held_out import held_out_pictures, square


def test_pictures_of_a_held_out_style_differ_and_repeat(art):
    one, again = (held_out_pictures(art, "micah", 3, 32) for _ in range(2))
    assert [drawn.facts for drawn in one] == [drawn.facts for drawn in again]
    assert {drawn.facts["style"] for drawn in one} == {"micah"}
    assert len({drawn.image.tobytes() for drawn in one}) == 3


def test_only_held_out_styles_are_drawn(art):
    with pytest.raises(AssertionError):
        held_out_pictures(art, "lorelei", 1, 32)


def test_a_photograph_is_made_square():
    assert square(Image.new("L", (30, 50)), 16).size == (16, 16)
