"""Colours by name."""

import random

from unichar.pretrain.worlds.colors import PALETTES, pick, rgb, shade


def test_every_shade_is_six_hex_digits():
    for palette in PALETTES.values():
        for shades in palette.values():
            assert all(len(digits) == 6 and int(digits, 16) >= 0 for digits in shades)


def test_a_shade_is_near_its_colour():
    for seed in range(30):
        found = rgb(shade("any", "red", random.Random(seed)))
        assert found[0] > 160 and found[1] < 80 and found[2] < 80
    name, digits = pick("skin", random.Random(0))
    assert name in PALETTES["skin"] and len(digits) == 6
