"""A topic: things a user may say about one matter, and what the character answers to any of them."""

import random
from dataclasses import dataclass

from unichar.interactions.style_profile import Voice
from unichar.interactions.wording import flaws, normalise
from unichar.types import Exchange

MAX_WORDS = 45
EXCITEMENT = {"comfort": 0.0, "sorry": 0.0, "farewell": 0.0, "motto": 0.0, "fact": 0.4}
"""How fitting an exclamation is as an opening, by the first word of the topic; 1 where nothing is said."""


@dataclass(frozen=True, kw_only=True)
class Topic:
    """Every reply fits every user text, so the two may be paired freely.

    Example: `Topic(name="likes-tea", form="taste", users=("Do you like tea?",), replies=("Yes, I like tea very much.",))`
    """

    name: str
    form: str
    """`fact`, `taste` or `small_talk`."""
    users: tuple[str, ...]
    replies: tuple[str, ...]
    """In the first person, as composed; the voice has been over them once (`Voice.own`)."""


def topic(name: str, form: str, users: list[str], replies: list[str | None]) -> Topic:
    """A topic of what is usable: replies that could be said at all, each text once, nothing with a flaw."""
    clean_users = {normalise(user): user for user in reversed(users) if not flaws(user)}
    clean_replies = {normalise(r): r for r in reversed([r for r in replies if r]) if not flaws(r)}
    return Topic(
        name=name,
        form=form,
        users=tuple(reversed(clean_users.values())),
        replies=tuple(reversed(clean_replies.values())),
    )


def exchanges(topic: Topic, voice: Voice, rng: random.Random) -> list[Exchange]:
    """As many exchanges as the topic has user texts; the replies in their order, repeating only in another dress."""
    found: list[Exchange] = []
    said: set[str] = set()
    turn = 0
    excitement = EXCITEMENT.get(topic.name.split("-")[0], 1.0)
    for user in rng.sample(topic.users, len(topic.users)) if topic.replies else []:
        for _ in topic.replies:
            reply = voice.speak(topic.replies[turn % len(topic.replies)], rng, excitement=excitement)
            turn += 1
            if normalise(reply) not in said and not flaws(reply) and len(reply.split()) <= MAX_WORDS:
                said.add(normalise(reply))
                found.append(Exchange(user=user, reply=reply))
                break
    return found
