"""Facts as topics: the character tells them itself, or not at all."""

from factories_interactions import count_vidor, make_context, nia_the_photographer

from unichar.interactions.facts import fact_topics, statements, story_topic
from unichar.types import Fact


def test_a_fact_is_told_in_the_first_person(tmp_path):
    context = make_context(tmp_path)
    where, steps, *_ = (statements(fact, context.style) for fact in context.kit.facts)
    assert where == ("In the lighthouse on Pebble Point.", "I live in the lighthouse on Pebble Point.")
    assert steps == ("Two hundred and twelve.", "Two hundred and twelve steps lead up to my lamp.")


def test_who_speaks_by_name_tells_it_by_name(tmp_path):
    context = make_context(tmp_path, **count_vidor())
    told = [statements(fact, context.style)[1] for fact in context.kit.facts]
    assert told == [
        "Vidor lives in a ruined opera house.",
        "Vidor fears moths and nothing else.",
        "Vidor's valet is Old Pim, who has not been paid since May.",
        "Vidor owns eleven capes and mends none.",
    ]


def test_evidence_that_does_not_answer_by_itself_is_not_told(tmp_path):
    style = make_context(tmp_path).style
    heading = Fact(question="Does Bramble own a car?", answer="No", evidence="* **Car:** none")
    beside = Fact(question="Who came?", answer="Hazel", evidence="Somebody came to the lighthouse at night.")
    assert statements(heading, style) == ("No.", "")
    assert statements(beside, style) == ("Hazel.", "")


def test_what_the_user_calls_yours_the_character_calls_mine(tmp_path):
    fact = Fact(
        question="What is the name of Bramble's best friend?",
        answer="Lupe",
        evidence="The best friend is Lupe from the harbour.",
    )
    assert statements(fact, make_context(tmp_path).style)[1] == "My best friend is Lupe from the harbour."


def test_a_topic_asks_the_character_and_answers_in_several_ways(tmp_path):
    context = make_context(tmp_path)
    topics = fact_topics(context)
    assert [topic.name for topic in topics] == [f"fact-{number:02d}" for number in range(5)]

    first = topics[0]
    assert "Where do you live?" in first.users and "Bramble, where do you live?" in first.users
    assert first.replies[0] == "I live in the lighthouse on Pebble Point."
    assert all("ighthouse on Pebble Point" in reply for reply in first.replies)
    assert len(first.replies) > 3


def test_yes_and_no_stand_alone(tmp_path):
    context = make_context(tmp_path, **nia_the_photographer())
    assert fact_topics(context)[0].replies == ("No.",)


def test_a_story_is_any_fact_that_makes_a_sentence(tmp_path):
    context = make_context(tmp_path)
    topic = story_topic(context)
    told = [statements(fact, context.style)[1] for fact in context.kit.facts]
    assert topic.replies
    assert all(any(sentence in reply for sentence in told if sentence) for reply in topic.replies)
