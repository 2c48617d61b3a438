"""Conversations become elements and pixels."""

import torch
from PIL import Image

from unichar.model.bagel.conversations import PACKED_TOKENS, as_elements, from_segments, group_by_length
from unichar.model.bagel.packing import Element
from unichar.model.bagel.pictures import seen_in_training
from unichar.model.protocol import Turn
from unichar.types import Segment


class Letters:
    """A tokenizer with one token per letter."""

    def text(self, value, *, has_loss=False):
        return Element(kind="text", ids=(1, *map(ord, value), 2), has_loss=has_loss)


def test_pictures_are_loaded_as_squares(tmp_path):
    Image.new("RGB", (40, 20), "red").save(tmp_path / "a.png")
    segments = [
        Segment(type="image", value="a.png", role="user"),
        Segment(type="text", value="Who?", role="user"),
    ]
    picture, text = from_segments(segments, tmp_path, 16)
    assert picture.image.size == (16, 16) and text.text == "Who?" and text.image is None


def test_every_turn_is_an_element_and_pictures_have_pixels():
    turns = [Turn(role="user", image=Image.new("RGB", (56, 28))), Turn(role="user", text="Hi")]
    turns.append(Turn(role="assistant", text="Yo"))
    sizing = seen_in_training(14, 98)
    elements, seen = as_elements(turns, Letters(), sizing, has_loss=[False, False, True])
    assert [element.kind for element in elements] == ["seen", "text", "text"]
    assert [element.has_loss for element in elements] == [False, False, True]
    (pixels,) = seen
    assert torch.is_tensor(pixels)
    assert elements[0].tokens == (pixels.shape[1] // 14) * (pixels.shape[2] // 14)


def test_neighbours_are_grouped_up_to_the_limit():
    most = PACKED_TOKENS
    assert group_by_length([most // 2, most // 2, 1, 2 * most, 5]) == [[0, 1], [2], [3], [4]]
    assert group_by_length([]) == []
