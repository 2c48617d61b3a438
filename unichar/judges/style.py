"""Style: does a reply sound like this character rather than like another one of the cast?

A multinomial naive Bayes classifier over character trigrams and words, one class per character, trained on
the scenes and dialogues of the kits. The score of a reply is the probability of the right character with even
priors, in 0..1; guessing among k characters gives 1/k.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

_SMOOTHING = 0.5
"""Added to every count (Lidstone), so that no gram has probability 0."""
_WORDS_PER_EVIDENCE = 4
"""Neighbouring grams repeat the same evidence, so log-odds are divided by the reply's words over this."""


class Style:
    """A classifier over the cast; `replies` are those of each character.

    Example: `Style({"mochi": [...], "tally": [...]}).score("mochi", "Pour, dear guest, pour!")`

    Raises:
        ValueError: There are fewer than two characters.
    """

    def __init__(self, replies: Mapping[str, Sequence[str]]) -> None:
        if len(replies) < 2:
            raise ValueError("style needs the replies of at least two characters to tell them apart")

        # All characters share one vocabulary, so that unseen grams cost each of them the same.
        counts = {who: sum(map(_grams, texts), Counter[str]()) for who, texts in replies.items()}
        vocabulary = set().union(*counts.values())
        self._log: dict[str, dict[str, float]] = {}
        for who, count in counts.items():
            total = count.total() + _SMOOTHING * len(vocabulary)
            self._log[who] = {gram: math.log((count[gram] + _SMOOTHING) / total) for gram in vocabulary}

    def score(self, who: str, reply: str) -> float:
        """Probability that `who` said it."""
        grams = _grams(reply)

        # Log-likelihoods; grams that nobody has said carry no evidence.
        evidence = {}
        for name, log in self._log.items():
            evidence[name] = sum(count * log[gram] for gram, count in grams.items() if gram in log)

        # Short replies keep their full evidence.
        temperature = max(1.0, len(reply.split()) / _WORDS_PER_EVIDENCE)

        # The largest is subtracted before the exponential, so that nothing overflows.
        top = max(evidence.values())
        odds = {name: math.exp((value - top) / temperature) for name, value in evidence.items()}
        return odds[who] / sum(odds.values())


def _grams(text: str) -> Counter[str]:
    """Trigrams of the text between spaces, and its words marked with `#`."""
    lowered = re.sub(r"\s+", " ", text.lower().strip())
    padded = f" {lowered} "
    trigrams = Counter(padded[i : i + 3] for i in range(len(padded) - 2))
    return trigrams + Counter(f"#{word}" for word in lowered.split())
