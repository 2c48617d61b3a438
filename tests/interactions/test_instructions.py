"""Instruction samples: the reasoning text names the user's scene, and the test asks for other scenes."""

from factories_interactions import make_context, nia_the_photographer

from unichar.domains.toon.vocabulary import SCENE
from unichar.interactions.config import InteractionsConfig
from unichar.interactions.instructions import instructions
from unichar.interactions.prompts import parse_reasoning

CONFIG = InteractionsConfig(num_instructions=12, num_test_instructions=4)


def test_reply_and_reasoning_of_one_scene_belong_together(tmp_path):
    items = instructions(make_context(tmp_path, config=CONFIG))
    assert [item.kind for item in items] == ["role_play", "thinking"] * 16

    for reply, reasoning in zip(items[0::2], items[1::2], strict=True):
        assert reply.group == reasoning.group and reply.split == reasoning.split
        assert [s.value for s in reasoning.segments[:3]] == [s.value for s in reply.segments]
        assert [s.loss for s in reasoning.segments] == [False] * 4 + [True]


def test_the_reasoning_asks_for_the_scene_the_user_named(tmp_path):
    for item in instructions(make_context(tmp_path, config=CONFIG))[1::2]:
        _, instruction = parse_reasoning(item.target.value)
        scene = instruction.removeprefix("Bramble, ").removesuffix(".")
        assert scene in item.segments[1].value
        assert ("holding" in instruction) == (item.attributes["prop"] != "nothing")


def test_no_scene_occurs_twice_or_in_the_kit(tmp_path):
    context = make_context(tmp_path, config=CONFIG)
    items = instructions(context)[0::2]
    scenes = [tuple(item.attributes[name] for name in SCENE) for item in items]
    pictured = {tuple(picture.attributes[name] for name in SCENE) for picture in context.kit.pictures}
    assert len(set(scenes)) == 16 and not set(scenes) & pictured
    assert [item.split for item in items] == ["train"] * 12 + ["test"] * 4


def test_photographs_have_no_instruction_samples(tmp_path):
    assert instructions(make_context(tmp_path, config=CONFIG, **nia_the_photographer())) == []


def test_no_scene_is_drawn_beyond_the_last_sample(tmp_path):
    # The draws of a longer run begin with those of a shorter one.
    few = instructions(
        make_context(tmp_path, config=InteractionsConfig(num_instructions=2, num_test_instructions=0))
    )
    many = instructions(make_context(tmp_path, config=CONFIG))
    assert few == many[:4]
