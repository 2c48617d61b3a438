"""Text-to-image samples: three forms of every picture, and test prompts that no picture answers."""

import random

import pytest
from factories_interactions import make_context, nia_the_photographer, of

from unichar.domains.toon.captions import scene_phrases
from unichar.domains.toon.vocabulary import SCENE
from unichar.interactions.config import InteractionsConfig
from unichar.interactions.text_to_image import text_to_image
from unichar.interactions.wording import normalise


def test_pictures_have_three_forms_and_exact_captions(tmp_path):
    context = make_context(tmp_path, config=InteractionsConfig(num_plain_captions=4))
    items = text_to_image(context)
    train = of(items, "portrait", "train")
    for picture in context.kit.split("train"):
        mine = [item for item in train if item.target.value == picture.image]
        assert sorted(item.form for item in mine) == ["plain"] * 4 + ["scene", "scene_thinking"]
        assert len({normalise(item.prompt) for item in mine}) == 6
        assert all(item.attributes == picture.attributes for item in mine)

    tested = [item for item in of(items, "portrait", "test") if len(item.segments) > 1]
    assert {item.target.value for item in tested} == {picture.image for picture in context.kit.split("test")}


def test_scene_forms_are_repeated_in_training_only(tmp_path):
    items = text_to_image(make_context(tmp_path, config=InteractionsConfig(num_scene_repeats=3)))
    for split, repeats in (("train", 3), ("test", 1)):
        scenes = [item for item in of(items, "portrait", split) if item.form == "scene"]
        assert len(scenes) == repeats * len({item.group for item in scenes})


def test_unseen_scenes_occur_in_no_picture(tmp_path):
    context = make_context(tmp_path, config=InteractionsConfig(num_unseen_scenes=9))
    unseen = [item for item in text_to_image(context) if item.group.startswith("unseen")]
    scenes = [tuple(item.attributes[name] for name in SCENE) for item in unseen]
    pictured = {tuple(picture.attributes[name] for name in SCENE) for picture in context.kit.pictures}
    assert len(set(scenes)) == 9
    assert not set(scenes) & pictured

    for item in unseen:
        assert item.split == "test" and len(item.segments) == 1
        assert item.attributes["species"] == "bear"


def test_open_prompts_name_one_or_two_things_and_leave_the_rest_open(tmp_path):
    items = text_to_image(make_context(tmp_path, config=InteractionsConfig(num_open_prompts=30)))
    asked = [item for item in items if item.form == "open"]
    named = [{name: item.attributes[name] for name in SCENE if name in item.attributes} for item in asked]
    assert len(asked) == 30
    assert all(item.split == "test" and item.kind == "portrait" for item in asked)
    assert all(len(item.segments) == 1 for item in asked)
    assert {len(part) for part in named} == {1, 2}
    assert len({tuple(part.items()) for part in named}) == 30
    assert not any(part.get("prop") == "nothing" for part in named)

    for item, part in zip(asked, named, strict=True):
        phrases = {phrase for seed in range(40) for phrase in scene_phrases(part, random.Random(seed))}
        assert sum(phrase in item.prompt for phrase in phrases) >= len(part)


@pytest.mark.parametrize(("asked_for", "given"), [(0, 0), (12, 12), (999, 64)])
def test_photographs_are_tested_in_everyday_scenes_too(tmp_path, asked_for, given):
    config = InteractionsConfig(num_open_prompts=asked_for)
    items = text_to_image(make_context(tmp_path, config=config, **nia_the_photographer()))
    asked = [item for item in items if item.form == "open"]
    assert len(asked) == len({item.prompt for item in asked}) == len({item.group for item in asked}) == given
    assert all(item.split == "test" and len(item.segments) == 1 and not item.attributes for item in asked)
    assert all(item.prompt.startswith("Nia ") for item in asked)
    assert not [item for item in items if item.group.startswith("unseen")]
