"""Replies as a reward sees them: in the character's voice, true to what is known, and of its usual length. Each in 0..1.

Not what reports measure: there the voice is told from the rest of the cast's, here from what the base model says to the same
words; facts are four-option questions there, and here what a known answer's words are worth in a free reply.
"""

import re
from collections.abc import Sequence

from unichar.judges.style import Style

_SMALL = frozenset(
    (
        "a",
        "an",
        "the",
        "of",
        "in",
        "on",
        "at",
        "to",
        "and",
        "or",
        "is",
        "are",
        "was",
        "be",
        "it",
        "its",
        "for",
        "with",
        "by",
        "as",
    )
)


class Voice:
    """The probability that the character said it and not just anybody."""

    def __init__(self, own: Sequence[str], anybody: Sequence[str]) -> None:
        self._style = Style({"own": own, "anybody": anybody})

    def score(self, reply: str) -> float:
        """0..1"""
        return self._style.score("own", reply)


class Length:
    """1 within the lengths of nine in ten of the character's own replies; outside, the ratio to the nearer end."""

    def __init__(self, own: Sequence[str]) -> None:
        lengths = sorted(len(reply.split()) for reply in own)
        cut = len(lengths) // 20
        self.low, self.high = lengths[cut], lengths[-1 - cut]

    def score(self, reply: str) -> float:
        """0..1"""
        words = len(reply.split())
        return min(1.0, words / max(self.low, 1), self.high / max(words, 1))


def consistency(reply: str, answer: str) -> float:
    """The share of a known answer's words that matter which the reply says; 1 where there is none."""
    wanted = _words(answer)
    return len(wanted & _words(reply)) / len(wanted) if wanted else 1.0


def _words(text: str) -> set[str]:
    return set(re.findall(r"[\w']+", text.lower())) - _SMALL
