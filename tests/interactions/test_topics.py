"""Topics pair any of their replies with any of their user texts."""

from factories_interactions import make_context

from unichar.interactions.topics import MAX_WORDS, Topic, exchanges, make_topic
from unichar.interactions.wording import normalise


def test_a_topic_keeps_usable_texts_once():
    topic = make_topic(
        "like-tea",
        "taste",
        users=["Do you like tea?", "do you like TEA", "Do you like {like}?"],
        replies=["I like tea.", None, "", "I like  tea.", "I like tea!"],
    )
    assert topic.users == ("Do you like tea?",)
    assert topic.replies == ("I like tea.",)


def test_replies_take_turns_and_no_two_exchanges_are_the_same(tmp_path):
    context = make_context(tmp_path)
    topic = Topic(
        name="mood",
        form="small_talk",
        users=tuple(f"How are you, number {number}?" for number in range(6)),
        replies=("I am fine.", "I am tired of gulls."),
    )
    found = exchanges(topic, context)
    assert {exchange.user for exchange in found} <= set(topic.users)
    assert len({normalise(exchange.reply) for exchange in found}) == len(found) >= 2
    assert "fine" in found[0].reply and "gulls" in found[1].reply


def test_a_topic_without_replies_has_no_exchanges_and_draws_nothing(tmp_path):
    context = make_context(tmp_path)
    before = context.rng.getstate()
    assert exchanges(Topic(name="x", form="fact", users=("Why?",), replies=()), context) == []
    assert context.rng.getstate() == before


def test_a_reply_that_is_too_long_is_left_out(tmp_path):
    long = " ".join(["word"] + ["and", "another", "word"] * (MAX_WORDS // 3)) + "."
    topic = Topic(name="x", form="fact", users=("Why?",), replies=(long,))
    assert exchanges(topic, make_context(tmp_path)) == []
