"""Likes, dislikes, traits and catchphrases as topics."""

from factories_interactions import BRAMBLE_PERSONA, make_context, nia_the_photographer

from unichar.interactions.tastes import likes_and_dislikes, taste_topics
from unichar.types import Persona


def test_every_taste_trait_and_catchphrase_is_a_topic(tmp_path):
    names = [topic.name for topic in taste_topics(make_context(tmp_path))]
    assert names == [
        "like-honey-toast",
        "like-quiet-mornings",
        "like-old-sea-maps",
        "dislike-gulls",
        "dislike-loud-radios",
        "dislike-cold-tea",
        "likes",
        "dislikes",
        "trait-grumpy",
        "trait-dependable",
        "trait-secretly-kind",
        "motto-the-light-stays-on",
        "motto-i-have-seen-worse-weather",
    ]


def test_questions_and_replies_name_the_thing(tmp_path):
    topics = {topic.name: topic for topic in taste_topics(make_context(tmp_path))}
    assert "Do you like honey toast?" in topics["like-honey-toast"].users
    assert any("honey toast" in reply.lower() for reply in topics["like-honey-toast"].replies)
    assert "Are you secretly kind?" in topics["trait-secretly-kind"].users
    assert 'Why do you say "The light stays on" so often?' in topics["motto-the-light-stays-on"].users
    assert all("The light stays on." in reply for reply in topics["motto-the-light-stays-on"].replies)


def test_things_are_put_as_they_stand_in_a_sentence(tmp_path):
    context = make_context(tmp_path, **nia_the_photographer())
    likes, dislikes = likes_and_dislikes(context.kit, context.style)
    assert likes == ["early light", "the chance to walk without a map", "moments when strangers smile"]
    assert dislikes == ["selfie sticks"]


def test_a_list_in_capitals_loses_them_but_names_keep_theirs(tmp_path):
    persona = Persona(
        **{**vars(BRAMBLE_PERSONA), "likes": ("Gulls", "Pebble Point"), "dislikes": ("Radios",)}
    )
    context = make_context(tmp_path, persona=persona)
    assert likes_and_dislikes(context.kit, context.style) == (["gulls", "Pebble Point"], ["radios"])


def test_traits_that_are_no_adjectives_are_not_asked_for(tmp_path):
    names = [topic.name for topic in taste_topics(make_context(tmp_path, **nia_the_photographer()))]
    assert "trait-curious" in names
    assert not [name for name in names if "patience" in name or "wander" in name]


def test_a_catchphrase_that_only_says_yes_is_no_motto(tmp_path):
    persona = Persona(**{**vars(BRAMBLE_PERSONA), "catchphrases": ("Aye!",)})
    assert not [
        topic for topic in taste_topics(make_context(tmp_path, persona=persona)) if "motto" in topic.name
    ]


def test_a_kit_without_tastes_has_no_such_topics(tmp_path):
    persona = Persona(traits=(), style="", speech_habits=(), catchphrases=(), likes=(), dislikes=())
    assert taste_topics(make_context(tmp_path, persona=persona)) == []
