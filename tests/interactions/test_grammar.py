"""Changes of grammatical person: right where a rule is certain, None where it is not."""

import pytest

from unichar.interactions.grammar import by_name, expand, first_person, pronoun_of, second_person, without_i


@pytest.mark.parametrize(
    ("text", "pronoun", "own"),
    [
        ("Skerry was born on Gull's Elbow.", "she", "I was born on Gull's Elbow."),
        (
            "She is thirty-four and has spent more of it wet than dry.",
            "she",
            "I am thirty-four and have spent more of it wet than dry.",
        ),
        ("On free days she carves small whales.", "she", "On free days I carve small whales."),
        (
            "Her brother Iver left, and she forgives him once a year.",
            "she",
            "My brother Iver left, and I forgive him once a year.",
        ),
        (
            "Aunt Hazel taught Skerry to row and gave her a boat.",
            "she",
            "Aunt Hazel taught me to row and gave me a boat.",
        ),
        ("At night Skerry watches Skerry's lamp.", "", "At night I watch my lamp."),
        ("in her father's house", "she", "in my father's house"),
        ("The boat carries goats to nine islands.", "she", "The boat carries goats to nine islands."),
    ],
)
def test_a_sentence_about_the_character_is_put_in_the_first_person(text, pronoun, own):
    assert first_person(text, "Skerry", pronoun) == own


@pytest.mark.parametrize(
    "text",
    [
        "Twice a week it carries goats.",  # whose "it"?
        "Skerry likes cats and dogs.",  # "dogs" may be a verb
        "Skerry and Tomas share a boat.",  # plural subject
        "Skerry, who keeps the light, is tired.",
    ],
)
def test_an_uncertain_sentence_gives_none(text):
    assert first_person(text, "Skerry", "she") is None


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ("Where does Mochi live?", "Where do you live?"),
        ("What is Mochi's favourite tea?", "What is your favourite tea?"),
        ("Who taught Mochi knots?", "Who taught you knots?"),
        ("How far has Mochi ever travelled?", "How far have you ever travelled?"),
        ("What is the highest grade Mochi gives?", "What is the highest grade you give?"),
        ("On which hill does the tea house of Mochi stand?", "On which hill does your tea house stand?"),
        ("Where do you live?", "Where do you live?"),
    ],
)
def test_a_question_about_the_character_is_put_to_it(question, asked):
    assert second_person(question, "Mochi", "it") == asked


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("I like it, and I've tried my best.", "Mochi likes it, and Mochi has tried its best."),
        ("No, I'm Mochi. Why should I stop?", "No, this is Mochi. Why should Mochi stop?"),
        ("My shoulders ache. Do I look old?", "Mochi's shoulders ache. Does Mochi look old?"),
    ],
)
def test_a_character_may_speak_of_itself_by_name(text, own):
    assert by_name(text, "Mochi", "it") == own


def test_a_character_may_leave_the_i_out_but_only_in_front():
    assert without_i("I've been called worse. I'm tired.") == "Been called worse. Tired."
    assert without_i("I have a list.") == "Got a list."
    assert without_i("You and I know better.") is None


def test_contractions_are_written_out():
    assert (
        expand("I'm sure it's late, and you'd say I can't stay.")
        == "I am sure it is late, and you would say I cannot stay."
    )


def test_the_pronoun_is_read_from_the_kits_texts():
    assert pronoun_of(["A cat that speaks of itself by name. She is not meant here."]) == "it"
    assert pronoun_of(["He rows. His boat leaks, and his cat left him."]) == "he"
    assert pronoun_of(["Nobody special."]) == ""


def test_a_name_with_special_characters_is_taken_literally():
    assert first_person("R.2 (jr) has a lamp.", "R.2 (jr)", "") == "I have a lamp."
    assert (
        second_person("Where does A+ live, and what is A+'s job?", "A+", "")
        == "Where do you live, and what is your job?"
    )
    assert by_name("I'm A+.", "A+", "") == "This is A+."
