"""Pictures and pixels."""

import torch
from factories_model import make_album

from unichar.model.pixels import to_images, to_pixels


def test_pictures_come_back_to_the_last_byte():
    images = make_album(2).images
    pixels = to_pixels(images)
    assert pixels.shape == (2, 3, 128, 128)
    assert pixels.dtype == torch.float32
    assert (float(pixels.min()), float(pixels.max())) <= (1.0, 1.0) and float(pixels.min()) >= -1.0
    assert [image.tobytes() for image in to_images(pixels)] == [image.tobytes() for image in images]


def test_pixels_out_of_range_are_cut():
    pixels = torch.tensor([-3.0, -1.0, 0.0, 1.0, 7.0]).expand(1, 3, 1, 5)
    assert to_images(pixels)[0].tobytes()[::3] == bytes([0, 0, 128, 255, 255])
