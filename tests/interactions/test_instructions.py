"""Requests for a picture: what is asked for is what is planned, and the test asks for other scenes."""

import random

from factories_interactions import make_curated_kit, nia_the_photographer

from unichar.domains.toon.vocabulary import SCENE, Scene
from unichar.interactions.config import InteractionsConfig
from unichar.interactions.instructions import requests
from unichar.interactions.prompts import parse_reasoning

CONFIG = InteractionsConfig(num_instructions=12, num_test_instructions=4)


def test_reply_and_plan_of_one_request_belong_together(tmp_path):
    items = requests(make_curated_kit(tmp_path), CONFIG, random.Random(0))
    replies, plans = items[0::2], items[1::2]
    assert [i.kind for i in items] == ["role_play", "thinking"] * 16
    for reply, plan in zip(replies, plans, strict=True):
        assert reply.group == plan.group and reply.split == plan.split
        assert [s.value for s in plan.segments[:3]] == [s.value for s in reply.segments]
        assert [s.loss for s in plan.segments] == [False] * 4 + [True]


def test_the_plan_asks_for_the_scene_the_user_named(tmp_path):
    for item in requests(make_curated_kit(tmp_path), CONFIG, random.Random(0))[1::2]:
        _, instruction = parse_reasoning(item.target.value)
        scene = instruction.removeprefix("Bramble, ").removesuffix(".")
        assert scene in item.segments[1].value
        held = item.attributes["prop"] != "nothing"
        assert ("holding" in instruction) == held


def test_no_scene_twice_and_none_of_the_kits(tmp_path):
    kit = make_curated_kit(tmp_path)
    items = requests(kit, CONFIG, random.Random(0))[0::2]
    scenes = [Scene(**item.attributes) for item in items]
    shown = {Scene(**{name: picture.attributes[name] for name in SCENE}) for picture in kit.pictures}
    assert len(set(scenes)) == 16 and not set(scenes) & shown
    assert [item.split for item in items] == ["train"] * 12 + ["test"] * 4


def test_photographs_can_not_be_requested(tmp_path):
    assert requests(make_curated_kit(tmp_path, **nia_the_photographer()), CONFIG, random.Random(0)) == []
