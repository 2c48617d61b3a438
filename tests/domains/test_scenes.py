"""Everyday scenes: many, all different, and about whom they should be."""

import random

from unichar.domains.scenes import everyday, prior_prompts


def test_every_scene_names_the_character_and_none_comes_twice() -> None:
    scenes = everyday("Bo", random.Random(0))
    assert len(set(scenes)) == len(scenes) == 128
    assert all(scene.startswith("Bo ") and scene.endswith(".") for scene in scenes)


def test_the_order_depends_on_the_seed_alone() -> None:
    assert everyday("Bo", random.Random(1)) == everyday("Bo", random.Random(1))
    assert everyday("Bo", random.Random(1)) != everyday("Bo", random.Random(2))


def test_prior_prompts_are_cartoons_and_photographs_in_turn() -> None:
    prompts = prior_prompts(20, random.Random(0))
    assert len(set(prompts)) == 20 and prompts == prior_prompts(20, random.Random(0))
    is_photograph = [prompt.startswith("A photograph of a") for prompt in prompts]
    assert is_photograph == [False, True] * 10
