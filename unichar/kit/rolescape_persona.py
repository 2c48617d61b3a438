"""A persona read out of a RoleScape-20 profile, as far as rules can read one.

The profiles are free markdown written by a language model: bullets with or without a bold head, under
headings of any wording. The result is a first version that the kit's author should correct; text that no
rule matches stays in profile.md.
"""

import re
from dataclasses import dataclass

from unichar.kit.schema import PersonaSheet
from unichar.kit.wording import bare

_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "\u00a0": " "})

# Headings.
# Profiles have no fixed headings, so parts of words are searched for.
_TRAITS = re.compile(r"personalit|trait", re.IGNORECASE)
_STORY = re.compile(r"tale|backstory|lore", re.IGNORECASE)
_PREFERENCE = re.compile(r"preference|likes|enjoys", re.IGNORECASE)

# Sentences about the way the character speaks.
_SPEECH = re.compile(
    r"verbal tic|\"voice\"|speaks?\b|refers? to|third person|her sentences|his sentences|monologue|tone\b|"
    r"exclamation|linguistic",
    re.IGNORECASE,
)
_QUOTATION = re.compile(r'(\w*)\W*"([^"]*)"')

# Preferences inside sentences: a verb, then what is liked or disliked up to the next clause.
_LIKES = re.compile(
    r"\b(?:enjoys|loves|likes|values|prefers|appreciates|delights? in|passionate about|interested in|"
    r"appreciation for|pride in)\s+([^.;]+)",
    re.IGNORECASE,
)
_DISLIKES = re.compile(
    r"\b(?:dislikes|hates|fears|afraid of|avoids|detests|not fond of)\s+([^.;]+)", re.IGNORECASE
)
_CLAUSE = re.compile(
    r",? (?:and (?:often|encourages)|often|especially|further|as much as|which|while)\b|, \w+ing\b"
)


@dataclass(frozen=True)
class Item:
    """One bullet or paragraph.

    Example: `Item(heading="Personality", head="Food Motivated", body="Her world ...")`
    """

    heading: str
    head: str
    """The bold text that begins it; empty where there is none."""
    body: str


def clean(text: str) -> str:
    """A text with straight quotes and single spaces, on one line."""
    return " ".join(text.translate(_QUOTES).split())


def read_persona(simplified: str, full: str, description: str) -> PersonaSheet:
    """The persona of a character.

    Args:
        simplified: Text of its short personality profile.
        full: Text of its full profile; only sentences about its way of speaking are taken from it.
        description: Where no trait is found, its first sentence counts as one.
    """
    # The profile as bullets, and the description as sentences.
    items = _items(simplified)
    described = _split(clean(description))

    # The way of speaking: sentences of either profile, and the phrases quoted in them.
    spoken = []
    for item in (*items, *_items(full)):
        spoken += [sentence for sentence in _split(item.body) if _SPEECH.search(sentence)]
    habits = _distinct(spoken)
    quoted: list[str] = []
    for sentence in habits:
        quoted += _said(sentence)

    # Preferences may stand in any sentence; traits are the heads of bullets under a fitting heading.
    sentences: list[str] = []
    for item in items:
        sentences += _split(item.body)
    sentences += described
    traits = [item.head or item.body for item in items if _is_trait(item)] or described[:1]

    # A first version: short lists that the author can correct.
    return PersonaSheet(
        traits=_distinct(traits)[:8],
        style=habits[0] if habits else described[0],
        speech_habits=habits[1:6],
        catchphrases=_distinct(quoted)[:6],
        likes=_objects(_LIKES, sentences)[:8],
        dislikes=_objects(_DISLIKES, sentences)[:8],
    )


def _items(markdown: str) -> list[Item]:
    """The bullets of a profile and the paragraphs with a bold head, each with the heading above it."""
    found, heading = [], ""
    for line in markdown.translate(_QUOTES).splitlines():
        # A heading is a markdown title, or a line that is bold as a whole.
        text = " ".join(line.split())
        title = re.fullmatch(r"#+ (.*)|\*\*([^*]+)\*\*:?", text)
        if title:
            heading = (title.group(1) or title.group(2)).replace("*", "").strip(": ")
            continue

        # `- **Head:** body`, `**Head**: body` or `- body`; a bold word inside a sentence is no head.
        bullet = re.match(r"[-*] +(.*)", text)
        headed = re.match(r"\*\*([^*]+?):?\*\*:? *(.*)", bullet.group(1) if bullet else text)
        if headed and ":" in headed.group(0)[: len(headed.group(1)) + 6]:
            # Bold inside the body is dropped, because the sheet is plain text.
            found.append(Item(heading, headed.group(1).strip(": "), headed.group(2).replace("*", "")))
        elif bullet:
            found.append(Item(heading, "", bullet.group(1).replace("*", "")))

    return [item for item in found if item.body]


def _is_trait(item: Item) -> bool:
    # A heading as "Personality and Backstory" tells a story, not traits.
    if not _TRAITS.search(item.heading) or _STORY.search(item.heading) or _PREFERENCE.search(item.heading):
        return False
    return not _SPEECH.search(item.head or item.body)


def _split(text: str) -> list[str]:
    """The sentences of a text. A full stop before a closing quote does not end one."""
    return [part.strip() for part in re.split(r"(?<=[.!?])\s+(?=[A-Z])", text) if part.strip()]


def _said(sentence: str) -> list[str]:
    """Quotations that the character may say.

    Left out are single words and names in quotes, as `her owner as "the human"` or `a "Shiba
    smile"`.
    """
    found = []
    for before, quotation in _QUOTATION.findall(sentence):
        # Commas and full stops inside American quotation marks belong to the sentence around.
        text = quotation.strip(" .,")

        # The word before the quotation tells a name from something said.
        is_name = before.lower() in ("as", "a", "an")
        if text.endswith(("!", "~")) or (" " in text and not is_name):
            found.append(text)
    return found


def _objects(verb: re.Pattern[str], sentences: list[str]) -> list[str]:
    """What follows a verb of liking or disliking, up to the next clause."""
    found = []
    for sentence in sentences:
        for text in verb.findall(sentence):
            found.append(_CLAUSE.split(text)[0].strip(" ,"))
    return _distinct(found)


def _distinct(texts: list[str]) -> list[str]:
    """The texts in order, without empty ones and without those that are part of an earlier one."""
    # Each text is compared with all kept ones; a profile is short enough for that.
    kept: list[str] = []
    for text in texts:
        if text and not any(bare(text) in bare(other) for other in kept):
            kept.append(text)
    return kept
