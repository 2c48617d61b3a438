"""Prompts that models are trained with: their bytes must not change, and reasoning texts can be parsed."""

import pytest

from unichar.interactions.prompts import (
    REASONING_REQUEST,
    character_card,
    parse_reasoning,
    reasoning_text,
    scene_prompt,
)


def test_the_prompts_of_published_adapters():
    assert REASONING_REQUEST == (
        "Plan a picture of this moment: your thoughts in <think></think>, then what to draw in <gen></gen>."
    )
    assert character_card(name="Mochi", description="A cat.", opening="Hi.") == (
        "Character Description: A cat.\n\nOpening: Hi.\n\nAnswer as Mochi."
    )
    assert scene_prompt(
        name="Mochi",
        description="A cat.",
        user="Hello!",
        reply="Hi.",
        thinking="Wave.",
        instruction="Mochi waving.",
    ) == (
        "Character Description: A cat.\n\nUser Input: Hello!\n\nCharacter Response: Hi.\n\n"
        "Thinking Process: Wave.\n\nGeneration Instruction: Mochi waving.\n\nDraw Mochi in this moment."
    )


def test_an_empty_field_has_no_label():
    assert (
        character_card(name="Mochi", description="A cat.")
        == "Character Description: A cat.\n\nAnswer as Mochi."
    )
    assert "Thinking" not in scene_prompt(name="Mochi", description="A cat.", user="Hello!", reply="Hi.")


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        (reasoning_text("Wave.", "Mochi waving."), ("Wave.", "Mochi waving.")),
        ("<gen>Mochi waving.", ("", "Mochi waving.")),
        ("<think>Wave.<gen>Mochi\nwaving.</gen> and more", ("Wave.", "Mochi\nwaving.")),
    ],
)
def test_a_reasoning_text_is_parsed(text, parsed):
    assert parse_reasoning(text) == parsed


@pytest.mark.parametrize("text", ["", "<think>Wave.</think>", "<gen>  </gen>"])
def test_without_a_drawing_instruction_there_is_nothing_to_draw(text):
    with pytest.raises(ValueError, match="<gen>"):
        parse_reasoning(text)
