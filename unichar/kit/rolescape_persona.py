"""A persona read out of a RoleScape-20 profile, as far as rules can read one.

The profiles are free markdown by a language model: bullets with or without a bold head, under headings of
any wording. What is found here is a start that the kit's author should look over; texts nobody can place
are left in profile.md.
"""

import re
from dataclasses import dataclass

from unichar.kit.schema import PersonaSheet
from unichar.kit.wording import bare

_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "\u00a0": " "})
_TRAITS = re.compile(r"personalit|trait", re.IGNORECASE)
_STORY = re.compile(r"tale|backstory|lore", re.IGNORECASE)
_SPEECH = re.compile(
    r"verbal tic|\"voice\"|speaks?\b|refers? to|third person|her sentences|his sentences|monologue|tone\b|exclamation|linguistic",
    re.IGNORECASE,
)
_PREFERENCE = re.compile(r"preference|likes|enjoys", re.IGNORECASE)
_LIKES = re.compile(
    r"\b(?:enjoys|loves|likes|values|prefers|appreciates|delights? in|passionate about|interested in|appreciation for|pride in)"
    r"\s+([^.;]+)",
    re.IGNORECASE,
)
_DISLIKES = re.compile(
    r"\b(?:dislikes|hates|fears|afraid of|avoids|detests|not fond of)\s+([^.;]+)", re.IGNORECASE
)
_CLAUSE = re.compile(
    r",? (?:and (?:often|encourages)|often|especially|further|as much as|which|while)\b|, \w+ing\b"
)
_QUOTATION = re.compile(r'(\w*)\W*"([^"]*)"')


@dataclass(frozen=True)
class Item:
    """One bullet or paragraph. Example: `Item(heading="Personality", head="Food Motivated", body="Her
    world ...")`"""

    heading: str
    head: str
    body: str


def clean(text: str) -> str:
    """A text with straight quotes and single spaces, on one line."""
    return " ".join(text.translate(_QUOTES).split())


def read_persona(simplified: str, full: str, description: str) -> PersonaSheet:
    """The persona of a character, from its short personality profile, its full profile and its
    description."""
    items = _items(simplified)
    spoken = [
        sentence
        for item in (*items, *_items(full))
        for sentence in _sentences(item)
        if _SPEECH.search(sentence)
    ]
    habits = _distinct(spoken)
    sentences = [sentence for item in items for sentence in _sentences(item)] + _split(clean(description))
    traits = [item.head or item.body for item in items if _is_trait(item)] or _split(clean(description))[:1]
    return PersonaSheet(
        traits=_distinct(traits)[:8],
        style=habits[0] if habits else _split(clean(description))[0],
        speech_habits=habits[1:6],
        catchphrases=_distinct([said for sentence in habits for said in _said(sentence)])[:6],
        likes=_distinct([_ending(found) for sentence in sentences for found in _LIKES.findall(sentence)])[:8],
        dislikes=_distinct(
            [_ending(found) for sentence in sentences for found in _DISLIKES.findall(sentence)]
        )[:8],
    )


def _items(markdown: str) -> list[Item]:
    found, heading = [], ""
    for line in markdown.translate(_QUOTES).splitlines():
        text = " ".join(line.split())
        title = re.fullmatch(r"#+ (.*)|\*\*([^*]+)\*\*:?", text)
        if title:
            heading = (title.group(1) or title.group(2)).replace("*", "").strip(": ")
            continue
        bullet = re.match(r"[-*] +(.*)", text)
        headed = re.match(r"\*\*([^*]+?):?\*\*:? *(.*)", bullet.group(1) if bullet else text)
        if headed and ":" in headed.group(0)[: len(headed.group(1)) + 6]:
            found.append(Item(heading, headed.group(1).strip(": "), headed.group(2).replace("*", "")))
        elif bullet:
            found.append(Item(heading, "", bullet.group(1).replace("*", "")))
    return [item for item in found if item.body]


def _is_trait(item: Item) -> bool:
    is_character = bool(_TRAITS.search(item.heading)) and not _STORY.search(item.heading)
    return (
        is_character and not _SPEECH.search(item.head or item.body) and not _PREFERENCE.search(item.heading)
    )


def _sentences(item: Item) -> list[str]:
    return _split(item.body)


def _split(text: str) -> list[str]:
    """Sentences; a full stop inside quotes ends none."""
    return [part.strip() for part in re.split(r"(?<=[.!?])\s+(?=[A-Z])", text) if part.strip()]


def _said(sentence: str) -> list[str]:
    """Quotations that the character may say, not words that are only marked: `her owner as "the human"`,
    a "Shiba smile"."""
    found = [(before.lower(), text.strip(" .,")) for before, text in _QUOTATION.findall(sentence)]
    return [
        text
        for before, text in found
        if text.endswith(("!", "~")) or (" " in text and before not in ("as", "a", "an"))
    ]


def _ending(text: str) -> str:
    """What follows a verb of liking, up to the next clause."""
    return _CLAUSE.split(text)[0].strip(" ,")


def _distinct(texts: list[str]) -> list[str]:
    """The texts without repetitions, in order; one that is part of an earlier one repeats it."""
    kept: list[str] = []
    for text in texts:
        if text and not any(bare(text) in bare(other) for other in kept):
            kept.append(text)
    return kept
