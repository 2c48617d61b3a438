"""Everyday scenes: many, all different, and about whom they should be."""

import random

from unichar.domains.scenes import everyday, photograph_of_somebody


def test_every_scene_names_the_character_and_none_comes_twice() -> None:
    scenes = everyday("Bo", random.Random(0))
    assert len(set(scenes)) == len(scenes) == 128
    assert all(scene.startswith("Bo ") and scene.endswith(".") for scene in scenes)


def test_the_order_depends_on_the_seed_alone() -> None:
    assert everyday("Bo", random.Random(1)) == everyday("Bo", random.Random(1))
    assert everyday("Bo", random.Random(1)) != everyday("Bo", random.Random(2))


def test_photographs_of_somebody_name_no_character() -> None:
    rng = random.Random(0)
    prompts = {photograph_of_somebody(rng) for _ in range(50)}
    assert len(prompts) > 40 and all(prompt.startswith("A photograph of a") for prompt in prompts)
