"""Rewards of replies: style, facts and length."""

import pytest
from factories_interactions import BRAMBLE_DIALOGUES

from unichar.judges.replies import Length, StyleReward, consistency

OWN = [exchange.reply for exchange in BRAMBLE_DIALOGUES]
OTHERS = [
    "I am an AI assistant and I can help you with that.",
    "Sure! Here is what I know about the weather today.",
]


def test_the_characters_own_style_scores():
    style = StyleReward(OWN, OTHERS)
    assert style.score("Hmph. I have seen worse, sailor.") > 0.9
    assert style.score("Sure! I am here to help you today.") < 0.1


def test_replies_of_the_usual_length_are_all_equal_and_others_less():
    length = Length(OWN)
    assert all(length.score(reply) == 1 for reply in OWN)
    assert length.score("Hmph.") < 0.3 and length.score("") == 0
    assert length.score("word " * 2 * length.high) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("reply", "share"),
    [("Aunt Hazel taught me, sailor.", 1.0), ("My aunt did.", 0.5), ("Nobody.", 0.0)],
)
def test_facts_are_what_is_known(reply, share):
    assert consistency(reply, "Aunt Hazel") == share


def test_an_answer_without_content_words_is_always_met():
    assert consistency("Whatever.", "it is") == 1
