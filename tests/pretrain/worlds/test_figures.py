"""Figures, expressions, and how they are drawn."""

import random

import numpy as np
import pytest

from unichar.pretrain.worlds.figures import (
    MOODS,
    draw_figure,
    expression,
    possible_moods,
    random_expression,
    random_figure,
)
from unichar.pretrain.worlds.styles import load_styles

STYLES = load_styles()


@pytest.mark.parametrize("name", sorted(STYLES))
def test_every_style_draws_what_it_is_told(name):
    style = STYLES[name]
    figure, face = random_figure(style, random.Random(1)), random_expression(style, random.Random(2))
    drawn = draw_figure(figure, face, size=48)
    assert drawn.size == (48, 48) and drawn.mode == "RGBA"

    # Around a figure it is transparent, and there is a figure.
    alpha = np.asarray(drawn)[..., 3]
    assert alpha.max() == 255
    assert (alpha.min() == 255) == (style.frame == "full")


def test_a_generator_decides_everything():
    style = STYLES["avataaars"]
    one, again = (random_figure(style, random.Random(5)) for _ in range(2))
    face = random_expression(style, random.Random(6))
    assert one == again and one.key == again.key != random_figure(style, random.Random(7)).key
    assert draw_figure(one, face, size=32).tobytes() == draw_figure(again, face, size=32).tobytes()


def test_another_expression_changes_the_face_alone():
    style = STYLES["avataaars"]
    figure, rng = random_figure(style, random.Random(3)), random.Random(0)
    happy, sad = (
        np.asarray(draw_figure(figure, expression(style, mood, rng), size=56)).astype(int)
        for mood in ("laughing", "sad")
    )
    changed = np.abs(happy - sad).sum(axis=-1) > 30
    assert changed[20:36].any() and not changed[40:].any()


def test_one_identity_in_twenty_is_reserved_and_never_drawn():
    style, rng = STYLES["lorelei"], random.Random(0)
    from unichar.pretrain.worlds.figures import _draw_figure

    share = np.mean([_draw_figure(style, rng).reserved for _ in range(4000)])
    assert 0.035 < share < 0.068
    assert not any(random_figure(style, rng).reserved for _ in range(200))
    assert random_figure(style, rng, reserved=True).reserved


def test_a_style_with_few_identities_may_have_no_reserved_one():
    with pytest.raises(ValueError, match="pixelbot has no reserved identity"):
        random_figure(STYLES["pixelbot"], random.Random(0), reserved=True)


def test_a_mood_is_read_from_what_shows_it():
    rng = random.Random(0)
    for style in STYLES.values():
        for mood in possible_moods(style):
            assert expression(style, mood, rng).mood in (mood, *MOODS), (style.name, mood)
            labels = expression(style, mood, rng).labels
            if "whole" not in labels:
                assert all(label in MOODS[mood][role] for role, label in labels.items())


def test_a_frown_needs_brows_and_anger_needs_angry_eyes():
    assert "frowning" in possible_moods(STYLES["avataaars"])
    assert "frowning" not in possible_moods(STYLES["lorelei"])
    assert "angry" in possible_moods(STYLES["moods"]) and "angry" not in possible_moods(STYLES["bottts"])
