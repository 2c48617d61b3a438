"""A topic: texts that a user may say on one matter, and replies of the character that fit any of them."""

from dataclasses import dataclass

from unichar.interactions.context import Context
from unichar.interactions.wording import flaws, normalise
from unichar.types import Exchange

MAX_WORDS = 45
"""Longest composed reply; decorations can make a long fact unreadable."""
EXCITEMENT = {"comfort": 0.0, "sorry": 0.0, "farewell": 0.0, "motto": 0.0, "fact": 0.4}
"""First word of a topic's name -> how fitting an exclamation is as an opener, 0..1; 1 for all others."""


@dataclass(frozen=True, kw_only=True)
class Topic:
    """Every reply fits every user text, so the two may be paired freely.

    Example: `Topic(name="like-tea", form="taste", users=("Do you like tea?",), replies=("Yes, I like tea very
    much.",))`
    """

    name: str
    form: str
    """`fact`, `taste` or `small_talk`."""
    users: tuple[str, ...]
    replies: tuple[str, ...]
    """In the character's grammar (`StyleProfile.restyle`), not yet decorated."""


def make_topic(name: str, form: str, users: list[str], replies: list[str | None]) -> Topic:
    """A topic of the usable texts: each once, none with a flaw, no reply that is None (not restyled)."""
    # A phrase that the character's grammar cannot say is None and simply missing.
    said = [reply for reply in replies if reply]
    return Topic(name=name, form=form, users=_usable(users), replies=_usable(said))


def exchanges(topic: Topic, context: Context) -> list[Exchange]:
    """At most one exchange a user text; a reply comes again only when its decoration makes it a new text."""
    # Names are `fact-03`, `like-tea`, `comfort`: the first word is the matter.
    excitement = EXCITEMENT.get(topic.name.split("-")[0], 1.0)
    users = context.rng.sample(topic.users, len(topic.users)) if topic.replies else []

    found: list[Exchange] = []
    known: set[str] = set()
    turn = 0
    for user in users:
        # Replies come in turn over all users; a user text is skipped when one whole round gives nothing new.
        for _ in topic.replies:
            reply = topic.replies[turn % len(topic.replies)]
            reply = context.style.decorate(reply, context.rng, excitement=excitement)
            turn += 1

            # A decoration may have repeated a word or made a long fact too long.
            is_new = normalise(reply) not in known
            if is_new and not flaws(reply) and len(reply.split()) <= MAX_WORDS:
                known.add(normalise(reply))
                found.append(Exchange(user=user, reply=reply))
                break
    return found


def _usable(texts: list[str]) -> tuple[str, ...]:
    """Texts without flaws, the first spelling of each in the order of last occurrence.

    This order is a contract: random draws depend on it.
    """
    kept = {normalise(text): text for text in reversed(texts) if not flaws(text)}
    return tuple(reversed(kept.values()))
