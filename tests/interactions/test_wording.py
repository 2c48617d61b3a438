"""Clean sentences, and the flaws that may never be left in one."""

import pytest

from unichar.interactions.wording import (
    fill_slots,
    flaws,
    inner,
    listing,
    normalise,
    question_inner,
    sentence,
    slug,
)


@pytest.mark.parametrize(
    ("text", "flaw"),
    [
        ("  ", "no words"),
        ("Two  spaces.", "two spaces"),
        ("A space , here.", "a space before punctuation"),
        ("Ended. .", "punctuation twice"),
        ("Ended..", "punctuation twice"),
        ("Really!.", "punctuation twice"),
        ("Hello {name}.", "an unfilled slot"),
        ("I ate a apple.", "the wrong article"),
        ("I met an bear.", "the wrong article"),
        ("I saw the the sea.", "a word twice"),
    ],
)
def test_a_flawed_text_is_found(text, flaw):
    assert flaw in flaws(text)


@pytest.mark.parametrize(
    "text",
    ["Oh... well!", "An hour, a unicorn, a one-man band.", 'He said "Stop." Twice?', "3.5 hours: done!"],
)
def test_a_good_text_has_no_flaw(text):
    assert flaws(text) == []


def test_a_value_may_have_braces_and_an_unknown_slot_stays():
    assert fill_slots("{name}: {fact} {more}", name="{fact}", fact="It rains.") == "{fact}: It rains. {more}"


def test_a_slug_is_part_of_a_name():
    assert slug("Loud radios, too!") == "loud-radios-too"


def test_normalised_texts_agree_in_spite_of_case_punctuation_and_quotes():
    assert normalise("  What’s   THAT, “Mochi”?! ") == normalise("what's that Mochi")
    assert normalise("What is that?") != normalise("What was that?")


def test_sentences_and_their_parts():
    assert sentence("in the  lighthouse") == "In the lighthouse."
    assert sentence("Really?") == "Really?"
    assert inner("The Roaring Duke.") == "the Roaring Duke"
    assert inner("A Field Guide to Ponds") == "A Field Guide to Ponds"
    assert inner("Gull's Elbow") == "Gull's Elbow"
    assert question_inner("Where do you live?") == "where do you live?"
    assert question_inner("Mochi lives where?") == "Mochi lives where?"
    assert listing(["a", "b", "c"]) == "a, b and c"
