"""Reasoning samples: one a picture, with the kit's own texts or composed ones."""

from factories_interactions import make_context, nia_the_photographer

from unichar.interactions.prompts import REASONING_REQUEST, parse_reasoning
from unichar.interactions.reasoning import reasoning, reasoning_of


def test_every_picture_has_a_reasoning_text_that_can_be_parsed(kit, tmp_path):
    items = reasoning(make_context(tmp_path, **vars(kit)))
    assert [item.split for item in items] == [picture.split for picture in kit.pictures]

    for item, picture in zip(items, kit.pictures, strict=True):
        thinking, instruction = parse_reasoning(item.target.value)
        assert (item.kind, item.form) == ("thinking", "plan")
        assert item.segments[-2].value == REASONING_REQUEST
        assert thinking
        assert instruction == (picture.instruction or picture.caption)


def test_the_kits_own_texts_are_kept_and_missing_ones_composed(tmp_path):
    kit = make_context(tmp_path / "a").kit
    first = kit.pictures[0]
    assert reasoning_of(kit, first) == (first.thinking, first.instruction)

    kit = make_context(tmp_path / "b", **nia_the_photographer()).kit
    thinking, instruction = reasoning_of(kit, kit.pictures[0])
    assert thinking == "Nia has just said this and the picture shows the moment: Nia waving from a pier"
    assert instruction == "Nia waving from a pier"
