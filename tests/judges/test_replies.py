"""Replies: whose voice, which facts, how long."""

import pytest
from factories_interactions import BRAMBLE_DIALOGUES

from unichar.judges.replies import Length, Voice, consistency

OWN = [exchange.reply for exchange in BRAMBLE_DIALOGUES]
ANYBODY = [
    "I am an AI assistant and I can help you with that.",
    "Sure! Here is what I know about the weather today.",
]


def test_the_characters_own_way_of_talking_scores():
    voice = Voice(OWN, ANYBODY)
    assert (
        voice.score("Hmph. I have seen worse, sailor.")
        > 0.9
        > 0.1
        > voice.score("Sure! I am here to help you today.")
    )


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


def test_an_answer_of_small_words_asks_for_nothing():
    assert consistency("Whatever.", "it is") == 1
