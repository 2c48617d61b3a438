"""How one character talks, heard from its own lines and speech habits, and lent to the sentences that are composed for it.

Nothing is invented: openings ("Hmph.", "Um,"), closings (catchphrases), the name for the other person ("sailor"), the share of
exclamation marks and trailing dots, contractions and the way of saying "I" are all measured in the kit's replies or
quoted in its speech habits. What a character never does, its composed replies do not do either.
"""

import random
import re
from collections import Counter
from dataclasses import dataclass

from unichar.interactions import grammar
from unichar.interactions.phrases import bold, curious, formal, gentle, grumpy, plain, proud, shy, sly, sunny
from unichar.interactions.wording import capital, inner, normalise, sentence
from unichar.types import CuratedKit

TEMPERAMENTS = {
    "grumpy": grumpy,
    "sunny": sunny,
    "gentle": gentle,
    "proud": proud,
    "shy": shy,
    "curious": curious,
    "sly": sly,
    "bold": bold,
    "formal": formal,
}
"""Name -> its phrases; `plain` stands in when none is told by the traits. A new one is a file here and a line above."""

YES = ("yes", "aye", "yep", "yup", "yeah", "affirmative", "indeed", "certainly")
NO = ("no", "nay", "nope", "nah", "negative", "never")
EMPHASIS = 1.6
"""How much more often than in its own lines: composed sentences carry less of a voice in their words."""
_NO_OPENERS = frozenset(
    (*YES, *NO, "maybe", "perhaps", "hello", "hi", "morning", "night", "thanks", "thank you", "of course")
)
_INTERJECTION = re.compile(
    r"(o+h|ah|ha|hello|hi|hey|um|hm+|well|brr|bravo|goodbye|farewell|good day)\b", re.IGNORECASE
)
_END = r"[.!?…~]+[\"'”’)*]*"


@dataclass(frozen=True, kw_only=True)
class Voice:
    """Example: `hear(kit).speak("I like tea.", random.Random(0))` may be `"Hmph. I like tea, sailor. The light stays on."`"""

    name: str
    pronoun: str
    """`he`, `she`, `it`, `they`, or empty when the kit does not tell."""
    temperaments: tuple[str, ...]
    """One or two names of `TEMPERAMENTS`, the stronger first; `plain` alone when there is none."""
    says_i: str
    """`i`; `name` for a character that speaks of itself by name; `none` for one that leaves the "I" out."""
    contracts: bool
    exclaims: float
    """Share of sentences that end in an exclamation mark."""
    trails: float
    """Share of sentences that end in dots."""
    yes: str
    no: str
    openers: dict[str, float]
    """What replies open with -> share of replies that do."""
    closers: dict[str, float]
    """Catchphrases that replies end with -> share of replies that do."""
    address: str
    """What it calls the other person; empty if nothing special."""
    address_rate: float

    def phrases(self, topic: str) -> list[str]:
        """What this character may say on a topic, the stronger temperament first."""
        modules = [TEMPERAMENTS.get(name, plain) for name in self.temperaments]
        return [phrase for module in modules for phrase in module.REPLIES[topic]]

    def own(self, text: str) -> str | None:
        """A composed first-person text as this character would put it; None where that cannot be done."""
        if self.says_i == "name":
            own = grammar.by_name(text, self.name, self.pronoun)
        else:
            own = grammar.without_i(text) if self.says_i == "none" else text
        if own is None:
            return None
        own = re.sub(r", (my )?dear\b", "", own) if self.address else own
        own = own if self.contracts else grammar.expand(own)
        own = re.sub(r"^(Yes|No)(?=[,.!])", lambda m: self.yes if m[1] == "Yes" else self.no, own)
        return own if self.exclaims >= 0.03 else own.replace("!", ".")

    def speak(self, text: str, rng: random.Random, *, excitement: float = 1.0) -> str:
        """`text` (from `own`) with the openings, closings and forms of address that this character uses as often as it does.

        Args:
            excitement: How fitting an exclamation is as an opening: 1 as often as in its own lines, 0 never.
        """
        text = self._punctuated(text, rng)
        if self.address and self.address not in text and rng.random() < EMPHASIS * self.address_rate:
            text = _addressed(text, self.address)
        fitting = {o: share * (excitement if o.endswith("!") else 1.0) for o, share in self.openers.items()}
        opener, closer = _drawn(fitting, rng), _drawn(self.closers, rng)
        if opener and normalise(opener) not in normalise(text) and not _INTERJECTION.match(text):
            text = _opened(text, opener)
        if closer and normalise(closer) not in normalise(text):
            text = f"{text} {closer}"
        return text

    def _punctuated(self, text: str, rng: random.Random) -> str:
        def mark(m: re.Match[str]) -> str:
            draw = rng.random()
            if draw < self.trails * (self.trails > 0.03):
                return m[1] + "..."
            return m[1] + ("!" if draw < self.trails + self.exclaims / 2 else ".")

        return re.sub(r"(\w)\.(?=\s|$)", mark, text)


def hear(kit: CuratedKit) -> Voice:
    """Measure how the character of a kit talks."""
    lines = [
        line
        for line in [kit.opening, *(p.reply for p in kit.pictures), *(d.reply for d in kit.dialogues)]
        if line
    ]
    sentences = re.findall(rf"[^.!?…~]+({_END})", " ".join(lines))
    habits = " ".join(kit.persona.speech_habits)
    address = _quoted_after(r"calls?|address\w*", kit.persona.speech_habits)
    first_words = Counter(normalise(line).split(" ")[0] for line in lines)
    closers = _closers(kit.persona.catchphrases, lines)
    return Voice(
        name=kit.name,
        pronoun=grammar.pronoun_of([kit.description, habits, *(fact.evidence for fact in kit.facts)]),
        temperaments=_temperaments(kit),
        says_i=_says_i(kit.name, lines, habits),
        contracts=len(lines) < 5
        or _share(r"\w(n['’]t|['’](m|re|ve|ll|d))\b|\b(it|that|there)['’]s\b", lines) >= 0.02,
        exclaims=_share("!", sentences),
        trails=_share(r"\.\.\.|…", sentences),
        yes=_favourite(YES, first_words),
        no=_favourite(NO, first_words),
        openers=_openers(lines) or _habitual_openers(kit.persona.speech_habits),
        closers=closers,
        address=address,
        address_rate=max(0.15, min(0.5, _share(re.escape(address), lines))) if address else 0.0,
    )


def _temperaments(kit: CuratedKit) -> tuple[str, ...]:
    scores: Counter[str] = Counter()
    for name, module in TEMPERAMENTS.items():
        for text, weight in [
            (kit.persona.style, 1),
            *((trait, 2 + (trait == kit.persona.traits[0])) for trait in kit.persona.traits),
        ]:
            scores[name] += weight * bool(re.search(rf"\b({'|'.join(module.SIGNS)})", text.lower()))
    best = [
        name for name, score in scores.most_common(2) if score and score * 2 >= scores.most_common(1)[0][1]
    ]
    return tuple(best) or ("plain",)


def _says_i(name: str, lines: list[str], habits: str) -> str:
    if re.search(r"third person|(never|not|instead of) (says? |uses? )?[\"“']?I\b", habits):
        return "name"
    if re.search(r"\b(drops?|omits?|leaves? out|skips?) [\"“']?I\b", habits):
        return "none"
    if len(lines) < 12 or _share(r"\bI\b", lines) > 0.05:
        return "i"
    return "name" if _share(rf"\b{re.escape(name)}\b", lines) > 0.3 else "none"


def _openers(lines: list[str]) -> dict[str, float]:
    """Interjections that at least two replies begin with, and that carry no answer of their own."""
    found: Counter[str] = Counter()
    for line in lines:
        m = re.match(r"((?:[A-Z][\w'’-]*)(?:,? [\w'’-]+){0,2}(?:!|\.\.\.|…))\s|([A-Z][a-z]{0,4}[,.])\s", line)
        if m and normalise(m[0]) not in _NO_OPENERS:
            found[m[0].strip()] += 1
    return {
        text: count / len(lines) for text, count in found.most_common() if count > max(1, 0.03 * len(lines))
    }


def _habitual_openers(habits: tuple[str, ...]) -> dict[str, float]:
    quoted = _quoted_after(r"starts?|begins?|opens?", habits)
    return (
        {(quoted if re.search(r"[.!?,…]$", quoted) else quoted + ",")[:1].upper() + quoted[1:]: 0.3}
        if quoted
        else {}
    )


def _closers(catchphrases: tuple[str, ...], lines: list[str]) -> dict[str, float]:
    """Catchphrases in closing position, with their measured share; those that only ever open a reply are left out."""
    closers = {}
    for phrase in catchphrases:
        plain_phrase = normalise(phrase)
        ends = sum(
            normalise(line).endswith(plain_phrase) and normalise(line) != plain_phrase for line in lines
        )
        opens = sum(normalise(line).startswith(plain_phrase) for line in lines)
        if plain_phrase in _NO_OPENERS or (opens > ends):
            continue
        if ends or len(lines) < 12:
            closers[sentence(phrase)] = max(0.05, ends / len(lines)) if lines else 0.1
    return closers


def _quoted_after(verb: str, habits: tuple[str, ...]) -> str:
    """The first quoted words of the first habit that contains `verb`."""
    for habit in habits:
        m = re.search(rf"\b(?:{verb})\b[^\"“]*[\"“]([^\"”]+)[\"”]", habit, re.IGNORECASE)
        if m:
            return m[1].strip()
    return ""


def _favourite(words: tuple[str, ...], first_words: Counter[str]) -> str:
    best = max(words, key=lambda word: first_words[word])
    return capital(best if first_words[best] > 1 else words[0])


def _share(pattern: str, texts: list[str]) -> float:
    return sum(
        bool(re.search(pattern, text, re.IGNORECASE if pattern.islower() else 0)) for text in texts
    ) / max(1, len(texts))


def _drawn(shares: dict[str, float], rng: random.Random) -> str:
    draw = rng.random() / EMPHASIS
    for text, share in shares.items():
        draw -= share
        if draw < 0:
            return text
    return ""


def _opened(text: str, opener: str) -> str:
    if not opener.endswith(","):
        return f"{opener} {text}"
    lowered = inner(text)[:1] + text[1:]
    return f"{opener} {lowered}" if lowered != text or re.match(r"I\b", text) else text


def _addressed(text: str, address: str) -> str:
    """Put the form of address before the first end mark of a sentence without inner commas."""
    for m in re.finditer(r"[^.!?…]+", text):
        words = m[0].split()
        follows = text[m.end() : m.end() + 1]
        if follows in tuple(".!?") and "," not in m[0] and '"' not in m[0] and 2 <= len(words) <= 14:
            return text[: m.end()] + f", {address}" + text[m.end() :]
    return text
