"""Backgrounds."""

import random

import numpy as np

from unichar.pretrain.worlds.scenery import OUTDOORS, gradient, place, places, wall


def test_every_place_is_drawn_of_things_that_every_hand_has(art):
    for name, about in places().items():
        assert place(name, random.Random(0), 32, art).size == (32, 32)
        assert about.say and all(len(color) == 6 for color in about.sky)
    assert set(OUTDOORS) <= set(places())


def test_a_gradient_runs_from_top_to_bottom():
    pixels = np.asarray(gradient("000000", "ffffff", 8))
    assert (
        (pixels[0] == 0).all()
        and (pixels[-1] == 255).all()
        and (np.diff(pixels[:, 0, 0].astype(int)) > 0).all()
    )


def test_a_wall_has_the_colour_it_says():
    picture, name = wall(random.Random(1), 8)
    again, same = wall(random.Random(1), 8)
    assert name == same and picture.tobytes() == again.tobytes()
