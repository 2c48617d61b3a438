"""Sentences: clean them, compare them, fill slots, and find the flaws that no composed text may have."""

import re

# Sounds decide, not letters: "a unicorn" and "an hour" are right.
_ARTICLE = re.compile(
    r"\b(a) (?!one\b|once\b|uni|use|usu|eu)([aeiou]\w*)"
    r"|\b(an) (?!hour|honest|honou?r|heir)([bcdfghjklmnpqrstvwxyz]\w+)"
)
_FLAWS = {
    "two spaces": re.compile(r"\S {2,}\S"),
    "a space before punctuation": re.compile(r"\w [,;:!?](\s|$)|\w \.(?!\.)(\s|$)"),
    "punctuation twice": re.compile(r"(?<!\.)\.\.(?!\.)|[,;:] ?[.,;:!?]|[!?.]\s+[.,;:!?](?!\.)|[!?]\.(?!\.)"),
    "an unfilled slot": re.compile(r"\{\w*\}"),
    "the wrong article": _ARTICLE,
    "a word twice": re.compile(r"\b(the|a|an|of|to|is|and|I|my|you|your) \1\b"),
}
"""What is wrong -> the pattern that shows it."""
_FUNCTION_WORDS = (
    "a|an|the|my|your|his|her|its|their|our|in|on|at|by|to|of|for|from|with|without|under|over|near|behind|beside|"
    "between|because|when|while|after|before|once|twice|every|each|all|any|some|no|not|it|he|she|they|we|you|yes|two|three|"
    "four|five|six|seven|eight|nine|ten|twelve|twenty|hundred|only|just|about|around|almost|being|having|anything|"
    "anyone|nobody|everything"
)
"""Words that have a small letter inside a sentence for certain."""
_QUESTION_WORDS = (
    "what|which|who|whom|whose|where|when|why|how|is|are|was|were|do|does|did|can|could|has|have|will|would|"
    "in|on|at|from|for|to|with|behind|under|by|if|tell|name"
)


def normalise(text: str) -> str:
    """The form in which two user inputs count as the same: lower case, no punctuation, single spaces.

    Example: `normalise("What’s  THAT?!")` is `"whats that"`.
    """
    # Apostrophes vanish without a space: "what's" and "whats" are one spelling.
    straight = text.lower().replace("’", "'").replace("‘", "'").replace("“", '"').replace("”", '"')
    return " ".join(re.sub(r"[^\w\s]|_", " ", straight.replace("'", "")).split())


def flaws(text: str) -> list[str]:
    """What is wrong with a composed text, as names; an empty list when nothing is.

    Example: `flaws("I saw a owl  today.")` is `["two spaces", "the wrong article"]`.
    """
    # Punctuation alone is no text.
    found = [name for name, pattern in _FLAWS.items() if pattern.search(text)]
    return found if normalise(text) else ["no words", *found]


def capital(text: str) -> str:
    """`text` with its first letter in upper case."""
    return re.sub(r"^([^\w]*)(\w)", lambda m: m.group(1) + m.group(2).upper(), text, count=1)


def sentence(text: str) -> str:
    """`text` as a sentence: trimmed, single spaces, first letter in upper case, end punctuation."""
    # The end may stand inside quotes or brackets: 'He said "Stop."' is complete.
    clean = capital(" ".join(text.split()).rstrip(",;:"))
    return clean if re.search(r"[.!?…~][\"'”’)*]*$", clean) else clean + "."


def inner(text: str) -> str:
    """`text` inside a sentence: no end punctuation, a small first letter if it opens with a function word."""
    clean = " ".join(text.split()).rstrip(".!,;: ")
    # "A Field Guide to Ponds" is a title and keeps its article.
    return clean[0].lower() + clean[1:] if is_ordinary(clean) and not re.match(r"An? [A-Z]", clean) else clean


def is_ordinary(text: str) -> bool:
    """Whether the first word is an article, a preposition or the like, and so no name."""
    return bool(re.match(rf"({_FUNCTION_WORDS})\b(?!['’-])", text, re.IGNORECASE))


def question_inner(text: str) -> str:
    """A question after a colon or a comma: a small first letter if it opens with a question word."""
    clean = " ".join(text.split())
    opens_small = re.match(rf"({_QUESTION_WORDS})\b", clean, re.IGNORECASE)
    return clean[0].lower() + clean[1:] if opens_small else clean


def fill_slots(text: str, /, **slots: str) -> str:
    """`text` with `{slot}` replaced by its value; slots without a value stay, and `flaws` finds them.

    Example: `fill_slots("I'm {name}. {fact}", name="Mochi")` is `"I'm Mochi. {fact}"`.
    """
    return re.sub(r"\{(\w+)\}", lambda m: slots.get(m[1], m[0]), text)


def slug(text: str) -> str:
    """`text` as part of a topic's name: normalised, with hyphens."""
    return normalise(text).replace(" ", "-")


def listing(words: tuple[str, ...] | list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + f" and {words[-1]}"
