"""Captions and questions say what the facts say."""

import random

import pytest

from unichar.pretrain.worlds.captions import caption, describe, expression_phrase, questions

FACTS = {
    "subject": "figure",
    "style": "avataaars",
    "variants": {"top": "curly", "clothes": "hoodie", "accessories": "round", "nose": "default"},
    "colors": {"hair": "red", "skin": "tan", "clothes": "blue", "hat": "green", "accessories": "black"},
    "mood": "laughing",
    "labels": {"eyes": "happy", "mouth": "laugh", "brows": "neutral"},
    "place": "beach",
    "wall": "",
    "weather": "rain",
    "prop": "soccer-ball",
    "prop_side": "left",
    "position": "right",
    "size": "normal",
    "treatment": "",
}


def many(make, count=300):
    rng = random.Random(0)
    return [make(rng) for _ in range(count)]


def test_a_description_names_hair_clothes_and_what_is_worn():
    said = many(lambda rng: describe(FACTS, rng))
    assert max(said, key=len) == "a person with curly red hair, a blue hoodie, tan skin and glasses"
    assert len(set(said)) > 8  # some of it is left out
    assert all("green" not in text and "black" not in text for text in said)  # no hat; frames are not named


def test_headwear_has_no_hair_colour():
    facts = {**FACTS, "variants": {**FACTS["variants"], "top": "hijab"}}
    assert all("red" not in text for text in many(lambda rng: describe(facts, rng)))


def test_black_and_white_has_no_colours():
    facts = {**FACTS, "treatment": "black and white"}
    for text in many(lambda rng: describe(facts, rng)):
        assert not {"red", "tan", "blue"} & set(text.split())
    assert not {"hair", "skin", "clothes"} & {name for name, _, _ in questions(facts, random.Random(0))}


def test_a_caption_says_mood_place_weather_and_prop():
    for text in many(lambda rng: caption(FACTS, rng)):
        assert any(word in text for word in ("laughing", "laugh")), text
        assert any(word in text for word in ("beach", "by the sea")), text
        assert "rain" in text and "soccer ball" in text and "wall" not in text


def test_a_named_figure_is_not_described():
    for text in many(lambda rng: caption(FACTS, rng, named=True)):
        assert "hair" not in text and "person" not in text
        assert "beach" in text or "sea" in text


def test_without_a_mood_the_parts_are_said():
    facts = {**FACTS, "mood": "", "labels": {"eyes": "hearts", "mouth": "open", "brows": "sad"}}
    assert expression_phrase(facts, random.Random(0)) == "with heart eyes and an open mouth"
    assert expression_phrase({**facts, "labels": {}}, random.Random(0)) == ""


def test_a_whole_expression_is_said_in_the_styles_own_words():
    facts = {**FACTS, "mood": "in awe", "labels": {"whole": "in awe"}}
    assert expression_phrase(facts, random.Random(0)) == "in awe"


def test_things_are_named_in_order():
    facts = {"subject": "things", "hand": "noto", "things": ["owl", "books"], "wall": "orange", "place": ""}
    texts = many(lambda rng: caption(facts, rng))
    assert all("an owl and books" in text.lower() and "orange" in text for text in texts)
    assert not any("a orange" in text for text in texts)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("mood", "laughing"),
        ("place", "beach"),
        ("weather", "rain"),
        ("prop", "soccer ball"),
        ("position", "right"),
        ("hair", "red"),
        ("clothes", "blue"),
        ("kind", "person"),
    ],
)
def test_questions_have_the_answers_of_the_facts(name, answer):
    assert {asked: found for asked, _, found in questions(FACTS, random.Random(0))}[name] == answer


def test_nothing_is_asked_that_the_picture_does_not_show():
    assert "wall" not in {name for name, _, _ in questions(FACTS, random.Random(0))}
