"""Patches of a picture; test_parity.py compares the vision tower with other code."""

import torch
from factories_bagel import tiny_model

from unichar.model.bagel.vision import patchify


def test_patches_are_ordered_by_rows_and_the_channel_varies_fastest():
    pixels = torch.arange(3 * 4 * 6.0).view(3, 4, 6)
    patches = patchify(pixels, 2)
    assert patches.shape == (6, 12)
    assert patches[0, :3].tolist() == pixels[:, 0, 0].tolist()
    assert patches[0, 3:6].tolist() == pixels[:, 0, 1].tolist()
    assert patches[1, :3].tolist() == pixels[:, 0, 2].tolist()
    assert patches[3, :3].tolist() == pixels[:, 2, 0].tolist()


@torch.no_grad()
def test_a_picture_of_any_shape_has_one_token_per_patch():
    vision = tiny_model().vision
    pixels = torch.rand(3, 28, 42) * 2 - 1
    assert vision(pixels).shape == (6, 64)
    assert vision.map(pixels).shape == (48, 2, 3)
