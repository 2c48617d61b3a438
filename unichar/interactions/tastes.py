"""Likes, dislikes, traits and catchphrases as topics of conversation."""

import re
from typing import Literal

from unichar.interactions import grammar
from unichar.interactions.context import Context
from unichar.interactions.phrase_banks import user_texts
from unichar.interactions.style_profile import NO, YES, StyleProfile
from unichar.interactions.topics import Topic, make_topic
from unichar.interactions.wording import (
    capital,
    fill_slots,
    inner,
    is_ordinary,
    listing,
    normalise,
    sentence,
    slug,
)
from unichar.types import CuratedKit

_NO_ADJECTIVE = re.compile(r"(?!.*(ous|less|ss)\b)\w+s\b|\w+(ity|ness|tion|ism|ship|ence|ance|ment|hood)$")
"""Traits written as verbs ("loves to wander") or nouns ("patience"): "Are you ...?" needs an adjective."""

_Taste = Literal["like", "dislike"]


def taste_topics(context: Context) -> list[Topic]:
    """A topic for each like, dislike, trait and catchphrase, and one each for all likes and all dislikes."""
    persona = context.kit.persona
    likes, dislikes = likes_and_dislikes(context.kit, context.style)

    # The opposite taste is handed along, since replies may contrast the two.
    topics = [_thing_topic(context, "like", thing, others=dislikes) for thing in likes]
    topics += [_thing_topic(context, "dislike", thing, others=likes) for thing in dislikes]
    if likes:
        topics.append(_summary_topic(context, "like", likes))
    if dislikes:
        topics.append(_summary_topic(context, "dislike", dislikes))

    for trait in persona.traits:
        if not _NO_ADJECTIVE.match(trait) and len(trait.split()) <= 5:
            topics.append(_trait_topic(context, trait))

    for catchphrase in persona.catchphrases:
        # A catchphrase like "Aye" is the character's yes, and stands in every other reply.
        if normalise(catchphrase) not in (*YES, *NO):
            topics.append(_motto_topic(context, catchphrase))
    return topics


def likes_and_dislikes(kit: CuratedKit, style: StyleProfile) -> tuple[list[str], list[str]]:
    """(likes, dislikes) as the character names them inside a sentence."""
    likes = [_noun_phrase(text, kit, style) for text in kit.persona.likes]
    dislikes = [_noun_phrase(text, kit, style) for text in kit.persona.dislikes]
    return likes, dislikes


def _noun_phrase(text: str, kit: CuratedKit, style: StyleProfile) -> str:
    """A like or dislike inside a sentence: small letter, first person, `when ...` and `to ...` completed."""
    # `inner` keeps a capital that might belong to a name. Where the whole list has capitals, it means nothing
    # unless the kit writes the word so in the middle of a sentence.
    phrase = inner(text)
    listed = kit.persona.likes + kit.persona.dislikes
    if phrase[:1].isupper() and _are_capitalised(listed) and not _is_name(phrase, kit):
        phrase = phrase[0].lower() + phrase[1:]

    # Clauses become noun phrases: "I like the chance to sing".
    phrase = re.sub(r"^when\b", "moments when", phrase)
    phrase = re.sub(r"^to\b", "the chance to", phrase)
    if style.self_reference == "name":
        return phrase
    return grammar.first_person(phrase, style.name, style.pronoun) or phrase


def _are_capitalised(listed: tuple[str, ...]) -> bool:
    """Whether all entries of a list begin with a capital, so that a capital there is no sign of a name."""
    return all(text[:1].isupper() for text in listed if not is_ordinary(text))


def _is_name(phrase: str, kit: CuratedKit) -> bool:
    """Whether the kit writes the first word with a capital in the middle of a sentence, too."""
    replies = [dialogue.reply for dialogue in kit.dialogues]
    texts = " ".join([kit.description, *(fact.evidence for fact in kit.facts), *replies])
    return bool(re.search(rf"[a-z,] {re.escape(phrase.split(' ')[0])}\b", texts))


def _thing_topic(context: Context, taste: _Taste, thing: str, *, others: list[str]) -> Topic:
    """A topic that asks for one like or dislike; replies may name one of the `others`, the opposite taste."""
    style, rng = context.style, context.rng
    slots = {taste: thing, "Like": capital(thing)}
    if others:
        slots["dislike" if taste == "like" else "like"] = rng.choice(others)

    replies = [style.restyle(fill_slots(phrase, **slots)) for phrase in style.replies(f"{taste}d")]
    rng.shuffle(replies)

    # "my hat" in a reply is "your hat" in the question.
    asked = re.sub(rf"\b(my|{grammar.possessive(style.pronoun)})\b", "your", thing)
    users = [fill_slots(user, **{taste: asked}) for user in user_texts()[f"{taste}d"]]
    return make_topic(f"{taste}-{slug(thing)}", "taste", users, replies)


def _summary_topic(context: Context, taste: _Taste, things: list[str]) -> Topic:
    """A topic that asks for all likes or all dislikes; each reply names three of them."""
    style, rng = context.style, context.rng
    key = "loves" if taste == "like" else "hates"
    phrases = style.replies(key)

    replies = []
    # Every phrase twice: with two draws of three things the two are seldom the same.
    for phrase in rng.sample(phrases, len(phrases)) * 2:
        some = rng.sample(things, min(3, len(things)))
        replies.append(style.restyle(fill_slots(phrase, **{f"{taste}s": listing(some)})))

    users = [fill_slots(user, name=style.name) for user in user_texts()[key]]
    return make_topic(f"{taste}s", "taste", users, replies)


def _trait_topic(context: Context, trait: str) -> Topic:
    """A topic that asks whether the character has a trait."""
    style = context.style
    # Inside a sentence: "Are you stubborn?"
    word = trait[0].lower() + trait[1:].rstrip(".")

    replies = []
    for phrase in style.replies("trait"):
        replies.append(style.restyle(fill_slots(phrase, trait=word, Trait=capital(word))))
    context.rng.shuffle(replies)

    users = [fill_slots(user, trait=word) for user in user_texts()["trait"]]
    return make_topic(f"trait-{slug(word)}", "taste", users, replies)


def _motto_topic(context: Context, catchphrase: str) -> Topic:
    """A topic that asks for the reason of a catchphrase; replies end with it."""
    style = context.style
    replies: list[str | None] = []
    for phrase in style.replies("motto"):
        # Restyled before it is filled: the catchphrase itself must stay word for word.
        own = style.restyle(phrase)
        if own:
            replies.append(fill_slots(own, motto=sentence(catchphrase)))
    context.rng.shuffle(replies)

    quoted = catchphrase.strip().rstrip(".!?…")
    users = [fill_slots(user, motto=quoted) for user in user_texts()["motto"]]
    return make_topic(f"motto-{slug(catchphrase)}", "taste", users, replies)
