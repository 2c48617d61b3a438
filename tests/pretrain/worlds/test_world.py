"""Random pictures and their facts."""

import dataclasses
import json
import random

import numpy as np

from unichar.pretrain.worlds.figures import random_expression, random_figure
from unichar.pretrain.worlds.styles import HELD_OUT, load_styles
from unichar.pretrain.worlds.world import Scene, _drawn, draw_scene, random_scene, sample


def drawn(art, scene, style="avataaars", seed=0):
    """A figure in a scene, 64 pixels."""
    words, rng = load_styles()[style], random.Random(seed)
    return draw_scene(random_figure(words, rng), random_expression(words, rng), scene, rng, 64, art)


def test_a_picture_follows_from_its_generator(art):
    one, again, other = (sample(art, random.Random(seed), 48) for seed in (1, 1, 2))
    assert one.image.tobytes() == again.image.tobytes() and one.facts == again.facts
    assert one.image.tobytes() != other.image.tobytes()
    assert one.image.size == (48, 48) and one.image.mode == "RGB"
    assert json.loads(json.dumps(one.facts)) == one.facts


def test_held_out_styles_are_never_sampled(art):
    rng = random.Random(0)
    seen = {sample(art, rng, 48).facts.get("style") for _ in range(150)}
    assert len(seen) > 15 and not seen & set(HELD_OUT)


def test_a_wall_is_said_and_shown(art):
    facts = drawn(art, Scene(wall="any", position="right")).facts
    assert facts["wall"] and not facts["place"]
    picture = np.asarray(drawn(art, Scene(wall="any", position="right")).image)
    assert np.abs(picture[2, 2].astype(int) - picture[2, 5]).max() <= 2  # plain in the corner


def test_a_prop_lies_on_the_side_that_is_said(art):
    bare = np.asarray(drawn(art, Scene(wall="any", position="left")).image).astype(int)
    with_prop = drawn(art, Scene(wall="any", position="left", prop="apple"))
    assert with_prop.facts["prop_side"] == "right"
    changed = np.abs(np.asarray(with_prop.image).astype(int) - bare).sum(axis=-1) > 30
    assert changed[32:, 32:].any() and not changed[:, :28].any()


def test_weather_changes_the_picture(art):
    scene = Scene(place="park")
    for weather in ("rain", "snow", "fog", "sunshine", "a rainbow"):
        other = drawn(art, dataclasses.replace(scene, weather=weather))
        assert other.facts["weather"] == weather
        assert other.image.tobytes() != drawn(art, scene).image.tobytes()


def test_treatments_draw_lines_or_take_colours_away(art):
    plain = np.asarray(drawn(art, Scene(wall="any")).image).astype(int)
    outlined = np.asarray(drawn(art, Scene(wall="any", treatment="outlined")).image).astype(int)
    assert (outlined.sum(axis=-1) < 120).sum() > (plain.sum(axis=-1) < 120).sum() + 50

    style, rng = load_styles()["avataaars"], random.Random(0)
    figure, face = random_figure(style, rng), random_expression(style, rng)
    gray = np.asarray(_drawn(figure, face, Scene(treatment="black and white"), 64))
    assert (gray[..., 0] == gray[..., 1]).all() and (gray[..., 1] == gray[..., 2]).all()


def test_scenes_vary(art):
    rng = random.Random(0)
    scenes = [random_scene(rng, art) for _ in range(300)]
    assert 0.4 < np.mean([bool(scene.place) for scene in scenes]) < 0.6
    assert {scene.position for scene in scenes} == {"left", "center", "right"}
    assert all(scene.place for scene in scenes if scene.weather)
