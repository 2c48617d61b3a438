"""Leaks from training into the test are found, however they are spelled."""

import dataclasses

import pytest
from factories_interactions import make_curated_kit

from unichar.interactions.config import InteractionsConfig
from unichar.interactions.leaks import leaks, user_inputs
from unichar.interactions.prompts import REASONING_REQUEST
from unichar.interactions.synthesize import compose
from unichar.types import Interaction, Segment


def item(*segments: Segment, kind: str = "role_play", group: str = "g") -> Interaction:
    return Interaction(id="i", kind=kind, form="f", split="train", group=group, segments=segments)


def user(text: str) -> Segment:
    return Segment(type="text", value=text, role="user")


def image(path: str) -> Segment:
    return Segment(type="image", value=path, role="user")


def test_nothing_leaks(kit):
    items, _ = compose(kit, InteractionsConfig(), 3)
    train = [item for item in items if item.split == "train"]
    test = [item for item in items if item.split == "test"]
    assert leaks(train, test) == []

    trained = {text for item in train for text in user_inputs(item)}
    assert not trained & {text for item in test for text in user_inputs(item)}
    assert not {item.group for item in train} & {item.group for item in test}

    held_out = {picture.image for picture in kit.split("test")}
    assert not held_out & {segment.value for item in train for segment in item.segments}


def test_a_leak_is_found_in_any_spelling(tmp_path):
    items, _ = compose(make_curated_kit(tmp_path), InteractionsConfig(), 0)
    train = [item for item in items if item.split == "train"]
    first = train[0]

    shouted = dataclasses.replace(first.segments[1], value=f"“{first.prompt.upper()}”  !!")
    copy = dataclasses.replace(first, id="copy", split="test", group="elsewhere", segments=(shouted,))
    assert any("user input" in offence for offence in leaks(train, [copy]))

    same_group = dataclasses.replace(copy, group=first.group, segments=())
    assert any("group" in offence for offence in leaks(train, [same_group]))


def test_a_picture_in_both_splits_is_a_leak():
    train, test = item(image("a.png"), group="one"), item(image("a.png"), group="two")
    assert leaks([train], [test]) == ["test item i has the picture 'a.png' of training item i"]


@pytest.mark.parametrize(
    ("kind", "inputs"), [("visual_qa", {"a.png|who is this"}), ("role_play", {"who is this"})]
)
def test_a_visual_question_counts_with_its_picture(kind, inputs):
    assert user_inputs(item(image("a.png"), user("Who is this?"), kind=kind)) == inputs


def test_the_request_for_a_reasoning_text_is_no_input_of_the_user():
    assert user_inputs(item(user(REASONING_REQUEST), user("Hello!"))) == {"hello"}
