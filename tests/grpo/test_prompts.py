"""Training, validation and test prompts share no scene."""

import pytest
from factories_interactions import nia_the_photographer
from factories_model import make_inputs

from unichar.domains.lookup import DOMAINS
from unichar.domains.toon.vocabulary import SCENE
from unichar.grpo.prompts import training_prompts, validation_prompts
from unichar.types import CuratedKit, read_interactions

scene_key = DOMAINS["toon"].scene_key


def read(inputs):
    kit = CuratedKit.read(inputs["curated_kit"])
    return kit, *(read_interactions(inputs["interactions"] / f"{split}.jsonl") for split in ("train", "test"))


def test_training_prompts_of_toons_ask_for_nothing_that_is_tested(inputs):
    kit, train, test = read(inputs)
    validation = validation_prompts(kit, train, test, count=8, seed=0)
    # So many of 2240 scenes that a leak would show.
    prompts = training_prompts(kit, train, test, validation=validation, count=6000, seed=0)
    assert len(prompts) == 6000
    trained = {scene_key(prompt.attributes) for prompt in prompts}
    tested = {scene_key(item.attributes) for item in test if item.kind == "portrait"}
    held_out = {scene_key(picture.attributes) for picture in kit.split("test")}
    assert len(tested) >= 5 and len([scene for scene in trained if len(scene) == len(SCENE)]) > 1000
    assert held_out <= tested
    assert not trained & tested
    seen = {scene_key(prompt.attributes) for prompt in validation}
    assert len(seen) == 8 and not seen & tested and not seen & trained
    assert not {prompt.text for prompt in prompts} & {item.prompt for item in test}


def test_toons_are_named_and_judged_by_the_scene(inputs):
    kit, train, test = read(inputs)
    for prompt in training_prompts(kit, train, test, validation=(), count=20, seed=0):
        assert kit.name in prompt.text and set(prompt.attributes) <= set(SCENE) and prompt.reference == ""


@pytest.mark.parametrize("which", [training_prompts, validation_prompts])
def test_three_of_four_prompts_leave_something_open(inputs, which):
    material, more = read(inputs), {"validation": ()} if which is training_prompts else {}
    prompts = which(*material, count=20, seed=0, **more)
    assert [prompt.is_open for prompt in prompts] == [False, True, True, True] * 5
    assert {len(prompt.attributes) for prompt in prompts if prompt.is_open} == {1, 2}


def test_prompts_depend_on_the_seed_and_a_longer_run_begins_with_the_same(inputs):
    material = read(inputs)
    assert (
        training_prompts(*material, validation=(), count=6, seed=0)
        == training_prompts(*material, validation=(), count=12, seed=0)[:6]
    )
    assert training_prompts(*material, validation=(), count=6, seed=0) != training_prompts(
        *material, validation=(), count=6, seed=1
    )


def test_photographs_alternate_training_captions_and_new_scenes(tmp_path):
    kit, train, test = read(make_inputs(tmp_path, **nia_the_photographer()))
    validation = validation_prompts(kit, train, test, count=8, seed=0)
    prompts = training_prompts(kit, train, test, validation=validation, count=80, seed=0)
    known, new = prompts[::2], prompts[1::2]
    kept_back = {prompt.reference for prompt in validation if prompt.reference}
    pictures = {picture.image for picture in kit.split("train")} - kept_back
    assert kept_back and len(pictures) >= 3 and len(prompts) == 80
    assert {prompt.reference for prompt in known} == pictures
    portraits = [item for item in train if item.kind == "portrait" and item.form == "plain"]
    plain = {item.prompt for item in portraits if item.target.value not in kept_back}
    assert {prompt.text for prompt in known} == plain
    assert len({prompt.text for prompt in known[: len(plain)]}) == len(plain)
    assert not any(prompt.reference for prompt in new) and len({prompt.text for prompt in new}) == 40
    assert all(prompt.text.startswith(f"{kit.name} ") for prompt in new)


def test_validation_scenes_of_photographs_are_not_trained_on(tmp_path):
    kit, train, test = read(make_inputs(tmp_path, **nia_the_photographer()))
    validation = validation_prompts(kit, train, test, count=8, seed=0)
    # So many of 128 scenes that a leak would show.
    trained = training_prompts(kit, train, test, validation=validation, count=400, seed=0)
    texts = {prompt.text for prompt in validation}
    assert (
        len(texts) == len(validation) and len([prompt for prompt in validation if not prompt.reference]) >= 4
    )
    assert not texts & {prompt.text for prompt in trained}
    tested = {item.prompt for item in test if item.form == "open"}
    assert len(tested) == 12 and not tested & (texts | {prompt.text for prompt in trained})
