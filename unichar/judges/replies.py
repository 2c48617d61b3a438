"""Rewards of replies: in the character's style, consistent with a known answer, and of the usual length. Each
in 0..1.

Reports measure other things, so that they cannot be improved by fooling the reward. There the style is told
from the rest of the cast's, here from what the base model says to the same prompts; there facts are
four-option questions, here the fraction of a known answer's words in a free reply.
"""

import re
from collections.abc import Sequence

from unichar.judges.style import Style

_FUNCTION_WORDS = "a an the of in on at to and or is are was be it its for with by as"
_STOP_WORDS = frozenset(_FUNCTION_WORDS.split())
"""Words that say nothing about whether an answer is known."""


class StyleReward:
    """The probability that the character said it rather than the base model.

    Args:
        own: Replies of the character.
        others: Replies of the base model to the same prompts.
    """

    def __init__(self, own: Sequence[str], others: Sequence[str]) -> None:
        self._style = Style({"own": own, "others": others})

    def score(self, reply: str) -> float:
        """0..1"""
        return self._style.score("own", reply)


class Length:
    """1 within the lengths of nine in ten of the character's own replies; outside, the ratio to the nearer
    end."""

    def __init__(self, own: Sequence[str]) -> None:
        # In words, as `score` counts them.
        lengths = sorted(len(reply.split()) for reply in own)

        # One in twenty at either end.
        cut = len(lengths) // 20
        self.low, self.high = lengths[cut], lengths[-1 - cut]

    def score(self, reply: str) -> float:
        """0..1"""
        # An empty reply scores 0.
        words = len(reply.split())
        return min(1.0, words / max(self.low, 1), self.high / max(words, 1))


def consistency(reply: str, answer: str) -> float:
    """The fraction of a known answer's content words that the reply contains; 1 if the answer has none."""
    # Recall only: what a free reply says besides is no error.
    target = _content_words(answer)
    return len(target & _content_words(reply)) / len(target) if target else 1.0


def _content_words(text: str) -> set[str]:
    return set(re.findall(r"[\w']+", text.lower())) - _STOP_WORDS
