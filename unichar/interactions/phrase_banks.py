"""Phrase banks: what users say and what characters reply, topic by topic, read from YAML and checked once.

`user_texts.yaml` holds the user's side of every topic. `phrases/<bank>.yaml` holds the replies of one
attitude to the same topics, and the `signs` by which a character's traits select it. The order of topics
and texts in the files is part of what a seed decides, so texts are appended, never sorted.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

BANKS = ("grumpy", "sunny", "gentle", "proud", "shy", "curious", "sly", "bold", "formal")
"""Banks that traits can select. Of two that fit equally well the earlier one wins."""
FALLBACK = "plain"
"""The bank of a character whose traits select none."""

SMALL_TALK = (
    # Courtesies and feelings.
    "greeting",
    "farewell",
    "mood",
    "doing",
    "thanks",
    "praise",
    "insult",
    "sorry",
    "comfort",
    "success",
    "advice",
    # Who it is: asked whether it is a machine, to be somebody else, to do a user's work, for its name.
    "ai",
    "act",
    "errand",
    "name",
    "friend",
    "wish",
    "manner",
)
"""Topics that need only the kit's name, likes and dislikes, in the order in which they are drawn."""

# Slots that any kit can fill.
_ANYTHING = frozenset({"name", "like", "dislike"})
_REPLY_SLOTS: dict[str, frozenset[str]] = dict.fromkeys(SMALL_TALK, _ANYTHING) | {
    "liked": frozenset({"like", "Like", "dislike"}),
    "disliked": frozenset({"dislike", "like"}),
    "loves": frozenset({"likes"}),
    "hates": frozenset({"dislikes"}),
    "trait": frozenset({"trait", "Trait"}),
    "fact": frozenset({"fact", "inner"}),
    "story": frozenset({"fact"}),
    "picture": frozenset(),
    "motto": frozenset({"motto"}),
}
"""Topic -> the slots its replies may have. A slot with a capital opens a sentence."""
_USER_SLOTS: dict[str, frozenset[str]] = dict.fromkeys(SMALL_TALK, frozenset({"name"})) | {
    "liked": frozenset({"like"}),
    "disliked": frozenset({"dislike"}),
    "loves": frozenset({"name"}),
    "hates": frozenset({"name"}),
    "trait": frozenset({"trait"}),
    "fact": frozenset({"Question", "question", "name"}),
    "story": frozenset({"name"}),
    "picture": frozenset({"scene", "name"}),
    "motto": frozenset({"motto"}),
}
"""Topic -> the slots its user texts may have."""

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class PhraseBank:
    """The replies of one attitude, for all characters that have it.

    Example: `PhraseBank(name="shy", signs=("shy", "timid"), replies={"greeting": ("Oh! Um, hello.",), ...})`
    """

    name: str
    signs: tuple[str, ...]
    """Beginnings of words in a character's traits and style that select this bank, in lower case."""
    replies: Mapping[str, tuple[str, ...]]
    """Topic -> replies in the first person, with slots in braces."""


@cache
def phrase_banks() -> dict[str, PhraseBank]:
    """All banks by name, in the order of `BANKS`, then the fallback.

    Raises:
        ValueError: A file is missing or wrong; the message names file and key.
    """
    return {name: read_bank(_FOLDER / "phrases" / f"{name}.yaml") for name in (*BANKS, FALLBACK)}


@cache
def user_texts() -> dict[str, tuple[str, ...]]:
    """Topic -> what a user says on it, with slots in braces.

    Raises:
        ValueError: The file is missing or wrong; the message names file and key.
    """
    # No `replies.` in front of the keys: here the topics are the top level.
    path = _FOLDER / "user_texts.yaml"
    return _texts_by_topic(path, "", _read(path), _USER_SLOTS)


def read_bank(path: Path) -> PhraseBank:
    """One phrase bank, named after its file.

    Raises:
        ValueError: The file is missing or no YAML; a key or topic is missing or unknown; a text is empty, no
            string, there twice, or has a slot that its topic does not fill.
    """
    # Both keys must be there, and nothing else: a misspelled key would be ignored otherwise.
    content = _read(path)
    _check_keys(path, "the top level", content, {"signs", "replies"})

    # The fallback is for characters that no other bank fits, so nothing selects it.
    signs = _texts(path, "signs", content["signs"], may_be_empty=path.stem == FALLBACK)
    replies = _texts_by_topic(path, "replies.", content["replies"], _REPLY_SLOTS)
    return PhraseBank(name=path.stem, signs=signs, replies=replies)


def _read(path: Path) -> Any:
    """The parsed value of a YAML file."""
    # safe_load makes plain values only, never objects.
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))

    except OSError as error:
        raise ValueError(
            f"cannot read the phrases {path}: {error.strerror}; install unichar again"
        ) from error
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not valid YAML: {error}; correct the file") from error


def _texts_by_topic(
    path: Path, prefix: str, content: Any, slots: dict[str, frozenset[str]]
) -> dict[str, tuple[str, ...]]:
    """The texts of each topic of a mapping, checked; keys in the order of the file."""
    _check_keys(path, prefix.rstrip(".") or "the top level", content, set(slots))

    texts = {}
    for topic, listed in content.items():
        texts[topic] = _texts(path, prefix + topic, listed)

        # A slot that nobody fills would be shown as it is.
        for text in texts[topic]:
            unknown = set(re.findall(r"\{(.*?)\}", text)) - slots[topic]
            if unknown:
                allowed = ", ".join(sorted(slots[topic])) or "none"
                raise ValueError(
                    f"{path}: {prefix}{topic}: {text!r} has the unknown slot {{{min(unknown)}}}; "
                    f"allowed: {allowed}"
                )
    return texts


def _check_keys(path: Path, where: str, content: Any, expected: set[str]) -> None:
    """Refuse everything but a mapping with exactly the expected keys."""
    if not isinstance(content, dict):
        raise ValueError(f"{path}: {where} is {type(content).__name__}; expected a mapping")

    # A misspelled key is missing and unknown; the message about the missing one says which was meant.
    missing = sorted(expected - content.keys())
    if missing:
        raise ValueError(f"{path}: {where} lacks {', '.join(missing)}; add each with its texts")

    unknown = sorted(str(key) for key in content.keys() - expected)
    if unknown:
        raise ValueError(
            f"{path}: {where} has the unknown key {', '.join(unknown)}; "
            f"expected {', '.join(sorted(expected))}"
        )


def _texts(path: Path, key: str, listed: Any, *, may_be_empty: bool = False) -> tuple[str, ...]:
    """A list of different non-empty strings, as a tuple."""
    # A single text without a dash in front would be read as letters.
    if not isinstance(listed, list) or not (listed or may_be_empty):
        raise ValueError(f"{path}: {key} is {listed!r}; expected a list of texts")

    for text in listed:
        # YAML takes an unquoted Yes for a boolean and an unquoted 3 for a number.
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{path}: {key} holds {text!r}; expected a non-empty text in quotes")
        # Twice in the list is twice as likely to be drawn.
        if listed.count(text) > 1:
            raise ValueError(f"{path}: {key} holds {text!r} twice; remove one")
    return tuple(listed)
