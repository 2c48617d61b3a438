"""Likes, dislikes, traits and catchphrases as topics of conversation."""

import random
import re

from unichar.interactions import grammar
from unichar.interactions.style_profile import NO, YES, Voice
from unichar.interactions.topics import Topic, topic
from unichar.interactions.wording import capital, inner, is_ordinary, listing, normalise, sentence
from unichar.types import CuratedKit

_LIKED = (
    "Do you like {like}?",
    "Is it true that you like {like}?",
    "Do you enjoy {like}?",
    "Do you really like {like}?",
)
_DISLIKED = (
    "Do you like {dislike}?",
    "Do you enjoy {dislike}?",
    "Do you secretly like {dislike}?",
    "Is it true that you like {dislike}?",
)
_LOVES = (
    "What do you like best?",
    "What makes you happy?",
    "Tell me what you love, {name}.",
    "What are your favourite things?",
)
_HATES = (
    "What annoys you most?",
    "What can't you stand?",
    "What spoils your mood, {name}?",
    "What do you dislike?",
)
_NATURE = (
    "Are you {trait}?",
    "Would you call yourself {trait}?",
    "People say that you are {trait}.",
    "Would your friends call you {trait}?",
)
_MOTTO = (
    'Why do you say "{motto}" so often?',
    'Why do you keep saying "{motto}"?',
    'Why is "{motto}" your motto?',
)
_NO_ADJECTIVE = re.compile(r"(?!.*(ous|less|ss)\b)\w+s\b|\w+(ity|ness|tion|ism|ship|ence|ance|ment|hood)$")


def taste_topics(kit: CuratedKit, voice: Voice, rng: random.Random) -> list[Topic]:
    """One topic a like, a dislike, a trait and a catchphrase, and one each for all likes and all dislikes together."""
    likes, dislikes = things(kit, voice)
    topics = [_single("like", thing, _LIKED, "liked", voice, {"dislike": dislikes}, rng) for thing in likes]
    topics += [
        _single("dislike", thing, _DISLIKED, "disliked", voice, {"like": likes}, rng) for thing in dislikes
    ]
    topics += [_all("like", likes, _LOVES, "loves", voice, rng)] if likes else []
    topics += [_all("dislike", dislikes, _HATES, "hates", voice, rng)] if dislikes else []
    topics += [
        _trait(trait, voice, rng)
        for trait in kit.persona.traits
        if not _NO_ADJECTIVE.match(trait) and len(trait.split()) <= 5
    ]
    topics += [
        _motto(text, voice, rng) for text in kit.persona.catchphrases if normalise(text) not in (*YES, *NO)
    ]
    return topics


def things(kit: CuratedKit, voice: Voice) -> tuple[list[str], list[str]]:
    """(likes, dislikes) as the character names them inside a sentence."""
    return (
        [_thing(text, kit, voice) for text in kit.persona.likes],
        [_thing(text, kit, voice) for text in kit.persona.dislikes],
    )


def _thing(text: str, kit: CuratedKit, voice: Voice) -> str:
    """A like or dislike as a noun phrase: small first letter, own person, `when ...` -> `moments when ...`."""
    phrase = inner(text)
    if (
        phrase[:1].isupper()
        and _are_capitalised(kit.persona.likes + kit.persona.dislikes)
        and not _is_name(phrase, kit)
    ):
        phrase = phrase[0].lower() + phrase[1:]
    phrase = re.sub(r"^when\b", "moments when", phrase)
    phrase = re.sub(r"^to\b", "the chance to", phrase)
    if voice.says_i == "name":
        return phrase
    return grammar.first_person(phrase, voice.name, voice.pronoun) or phrase


def _are_capitalised(listed: tuple[str, ...]) -> bool:
    """Whether a list is written with capital letters in front throughout, so that a capital there says nothing."""
    return all(text[:1].isupper() for text in listed if not is_ordinary(text))


def _is_name(phrase: str, kit: CuratedKit) -> bool:
    """Whether the kit writes the first word with a capital in the middle of a sentence, too."""
    everything = " ".join(
        [kit.description, *(fact.evidence for fact in kit.facts), *(d.reply for d in kit.dialogues)]
    )
    return bool(re.search(rf"[a-z,] {re.escape(phrase.split(' ')[0])}\b", everything))


def _single(
    kind: str,
    thing: str,
    users: tuple[str, ...],
    key: str,
    voice: Voice,
    other: dict[str, list[str]],
    rng: random.Random,
) -> Topic:
    fill = {kind: thing, "Like": capital(thing)} | {
        name: rng.choice(values) for name, values in other.items() if values
    }
    replies = [voice.own(_filled(phrase, fill)) for phrase in voice.phrases(key)]
    slug = normalise(thing).replace(" ", "-")
    asked = {kind: re.sub(rf"\b(my|{grammar.possessive(voice.pronoun)})\b", "your", thing)}
    rng.shuffle(replies)
    return topic(f"{kind}-{slug}", "taste", [_filled(user, asked) for user in users], replies)


def _all(
    kind: str, found: list[str], users: tuple[str, ...], key: str, voice: Voice, rng: random.Random
) -> Topic:
    replies = []
    for phrase in rng.sample(voice.phrases(key), len(voice.phrases(key))) * 2:
        some = rng.sample(found, min(3, len(found)))
        replies.append(voice.own(_filled(phrase, {f"{kind}s": listing(some)})))
    return topic(f"{kind}s", "taste", [_filled(user, {"name": voice.name}) for user in users], replies)


def _trait(trait: str, voice: Voice, rng: random.Random) -> Topic:
    word = trait[0].lower() + trait[1:].rstrip(".")
    replies = [
        voice.own(_filled(phrase, {"trait": word, "Trait": capital(word)}))
        for phrase in voice.phrases("nature")
    ]
    rng.shuffle(replies)
    return topic(
        f"trait-{normalise(word).replace(' ', '-')}",
        "taste",
        [_filled(user, {"trait": word}) for user in _NATURE],
        replies,
    )


def _motto(text: str, voice: Voice, rng: random.Random) -> Topic:
    quoted = text.strip().rstrip(".!?…")
    replies = [
        own.replace("{motto}", sentence(text))
        for phrase in voice.phrases("motto")
        if (own := voice.own(phrase))
    ]
    rng.shuffle(replies)
    slug = normalise(text).replace(" ", "-")
    return topic(
        f"motto-{slug}", "taste", [_filled(user, {"motto": quoted}) for user in _MOTTO], list(replies)
    )


def _filled(text: str, fill: dict[str, str]) -> str:
    for name, value in fill.items():
        text = text.replace(f"{{{name}}}", value)
    return text
