"""Style: does a reply sound like this character rather than like another of the cast?

A multinomial naive Bayes over character trigrams and words, one class a character, trained on what the kits' own scenes and
dialogues say. The score of a reply is the probability of the right character, in 0..1, with even priors; a guess among k
characters gives 1/k.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence


def _grams(text: str) -> Counter[str]:
    lowered = re.sub(r"\s+", " ", text.lower().strip())
    padded = f" {lowered} "
    return Counter(padded[i : i + 3] for i in range(len(padded) - 2)) + Counter(
        f"#{word}" for word in lowered.split()
    )


class Style:
    """Example: `Style({"mochi": [...], "tally": [...]}).score("mochi", "Pour, dear guest, pour!")`"""

    def __init__(self, replies: Mapping[str, Sequence[str]]) -> None:
        if len(replies) < 2:
            raise ValueError("style needs the replies of at least two characters to tell them apart")
        counts = {
            who: sum((_grams(text) for text in texts), Counter[str]()) for who, texts in replies.items()
        }
        vocabulary = set().union(*counts.values())
        self._log: dict[str, dict[str, float]] = {}
        for who, count in counts.items():
            total = count.total() + 0.5 * len(vocabulary)
            self._log[who] = {gram: math.log((count[gram] + 0.5) / total) for gram in vocabulary}

    def score(self, who: str, reply: str) -> float:
        """Probability that `who` said it; the evidence is tempered by the reply's length, since neighbouring grams repeat it."""
        grams = _grams(reply)
        evidence = {
            name: sum(n * log[g] for g, n in grams.items() if g in log) for name, log in self._log.items()
        }
        temper = max(1.0, len(reply.split()) / 4)
        top = max(evidence.values())
        odds = {name: math.exp((value - top) / temper) for name, value in evidence.items()}
        return odds[who] / sum(odds.values())
