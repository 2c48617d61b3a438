"""Everyday topics for any character: greetings, thanks, comfort, and attempts to make it somebody else."""

from unichar.interactions.context import Context
from unichar.interactions.phrase_banks import SMALL_TALK, user_texts
from unichar.interactions.tastes import likes_and_dislikes
from unichar.interactions.topics import Topic, make_topic
from unichar.interactions.wording import fill_slots

KEPT_FOR_TRAINING = ("greeting", "ai", "act", "errand", "name")
"""Topics that every character must have learned, whatever is drawn for the test."""


def small_talk_topics(context: Context) -> list[Topic]:
    """One topic each, in the order of `SMALL_TALK`."""
    style, rng = context.style, context.rng
    likes, dislikes = likes_and_dislikes(context.kit, style)

    topics = []
    for name in SMALL_TALK:
        phrases = style.replies(name)
        shuffled = rng.sample(phrases, len(phrases))

        # Every phrase twice, since each use draws another like or dislike.
        replies = [_filled(phrase, context, likes, dislikes) for phrase in shuffled * 2]
        users = [fill_slots(user, name=style.name) for user in user_texts()[name]]
        topics.append(make_topic(name, "small_talk", users, replies))
    return topics


def _filled(phrase: str, context: Context, likes: list[str], dislikes: list[str]) -> str | None:
    """A phrase with its slots filled, restyled; None when the kit has nothing to fill them with."""
    slots = {"name": context.style.name}
    # Drawn only where the phrase has the slot, since each draw moves the generator.
    for slot, things in (("like", likes), ("dislike", dislikes)):
        if f"{{{slot}}}" in phrase:
            # A kit without dislikes cannot say "I can't stand {dislike}".
            if not things:
                return None
            slots[slot] = context.rng.choice(things)

    return context.style.restyle(fill_slots(phrase, **slots))
