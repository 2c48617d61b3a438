"""Everyday topics: the same for every character, with replies of its own."""

from factories_interactions import BRAMBLE_PERSONA, make_context

from unichar.interactions.phrase_banks import SMALL_TALK
from unichar.interactions.small_talk import KEPT_FOR_TRAINING, small_talk_topics
from unichar.types import Persona


def test_every_topic_has_questions_and_replies(kit, tmp_path):
    topics = small_talk_topics(make_context(tmp_path, **vars(kit)))
    assert tuple(topic.name for topic in topics) == SMALL_TALK
    assert all(topic.users and topic.replies for topic in topics)


def test_what_every_character_must_learn_is_small_talk():
    assert set(KEPT_FOR_TRAINING) < set(SMALL_TALK)


def test_slots_are_filled_from_the_kit(tmp_path):
    texts = [
        text for topic in small_talk_topics(make_context(tmp_path)) for text in (*topic.users, *topic.replies)
    ]
    assert not [text for text in texts if "{" in text]
    assert any("Bramble" in text for text in texts)
    assert any(like in text for text in texts for like in BRAMBLE_PERSONA.likes)


def test_without_likes_no_reply_speaks_of_them(tmp_path):
    persona = Persona(**{**vars(BRAMBLE_PERSONA), "likes": (), "dislikes": ()})
    topics = small_talk_topics(make_context(tmp_path, persona=persona))
    assert not [reply for topic in topics for reply in topic.replies if "{" in reply]
    assert all(topic.replies for topic in topics if topic.name in KEPT_FOR_TRAINING)
