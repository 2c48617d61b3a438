"""Which prompts are judged, and against what."""

import pytest
from factories_interactions import nia_the_photographer
from factories_model import make_inputs

from unichar.domains.lookup import DOMAINS
from unichar.domains.toon.vocabulary import SCENE
from unichar.judges.prompts import plain_prompts, report_prompts
from unichar.types import CuratedKit, read_interactions


@pytest.fixture
def photographs(tmp_path):
    return make_inputs(tmp_path, **nia_the_photographer())


def test_toons_are_judged_by_their_scene(inputs):
    test = read_interactions(inputs["interactions"] / "test.jsonl")
    prompts = plain_prompts(test)
    assert (
        len(prompts) == len([item for item in test if item.kind == "portrait" and item.form == "plain"]) > 3
    )
    assert all(set(SCENE) <= set(prompt.attributes) and "Bramble" in prompt.text for prompt in prompts)


def test_scenes_without_a_picture_have_no_reference(inputs):
    prompts = plain_prompts(read_interactions(inputs["interactions"] / "test.jsonl"))
    held_out = {picture.image for picture in CuratedKit.read(inputs["curated_kit"]).split("test")}
    assert {prompt.reference for prompt in prompts} == {*held_out, ""}


def test_photographs_are_judged_by_their_own_picture(photographs):
    kit = CuratedKit.read(photographs["curated_kit"])
    prompts = plain_prompts(read_interactions(photographs["interactions"] / "test.jsonl"))
    assert {prompt.reference for prompt in prompts} == {picture.image for picture in kit.split("test")}
    assert not any(prompt.attributes for prompt in prompts)


def test_few_held_out_photographs_are_asked_for_in_every_form(photographs):
    test = read_interactions(photographs["interactions"] / "test.jsonl")
    plain, asked = plain_prompts(test), report_prompts(test, DOMAINS["photo"])
    pictured = [prompt for prompt in asked if prompt.reference]
    assert asked[: len(plain)] == plain and len(pictured) == 3 * len(plain)
    assert {prompt.reference for prompt in pictured} == {prompt.reference for prompt in plain}


def test_photographs_are_also_asked_for_scenes_without_a_picture(photographs):
    asked = report_prompts(read_interactions(photographs["interactions"] / "test.jsonl"), DOMAINS["photo"])
    opened = [prompt for prompt in asked if prompt.is_open]
    assert opened == [prompt for prompt in asked if not prompt.reference] == asked[-12:]
    assert all(prompt.text.startswith("Nia ") and not prompt.attributes for prompt in opened)


def test_toons_are_also_asked_for_parts_of_a_scene(inputs):
    test = read_interactions(inputs["interactions"] / "test.jsonl")
    plain, asked = plain_prompts(test), report_prompts(test, DOMAINS["toon"])
    assert asked[: len(plain)] == plain and not any(prompt.is_open for prompt in plain)
    opened = asked[len(plain) :]
    assert len(opened) == 12 and all(prompt.is_open and "Bramble" in prompt.text for prompt in opened)
    named = [{name for name in prompt.attributes if name in SCENE} for prompt in opened]
    assert {len(names) for names in named} == {1, 2}
