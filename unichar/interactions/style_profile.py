"""How one character talks: a profile measured in its kit and applied to the replies composed for it.

Nothing is invented. Openers ("Hmph.", "Um,"), closers (catchphrases), the form of address ("sailor"), the
rates of exclamations and ellipses, contractions and self-reference are measured in the kit's replies or
quoted in its speech habits. What a character never does, its composed replies do not do either.
"""

import random
import re
from collections import Counter
from dataclasses import dataclass

from unichar.interactions import grammar
from unichar.interactions.phrase_banks import BANKS, FALLBACK, phrase_banks
from unichar.interactions.wording import capital, inner, normalise, sentence
from unichar.types import CuratedKit

# The first word of each is what a character says whose lines show no other.
YES = ("yes", "aye", "yep", "yup", "yeah", "affirmative", "indeed", "certainly")
NO = ("no", "nay", "nope", "nah", "negative", "never")
EMPHASIS = 1.6
"""Openers, closers and forms of address are this much more frequent than in the character's own lines: the
words of a composed sentence carry less of its style."""

_RARE = 0.03
"""Rate below which a habit counts as chance."""
_FEW_LINES = 12
"""With fewer lines than this, a habit that is absent may just not have been needed."""
_NO_OPENERS = frozenset(
    (*YES, *NO, "maybe", "perhaps", "hello", "hi", "morning", "night", "thanks", "thank you", "of course")
)
"""First words that answer the user, so that they cannot open any other reply."""
_INTERJECTION = re.compile(
    r"(o+h|ah|ha|hello|hi|hey|um|hm+|well|brr|bravo|goodbye|farewell|good day)\b", re.IGNORECASE
)
_END = r"[.!?…~]+[\"'”’)*]*"
"""The end of a sentence, with the quotes or brackets that close after it."""


@dataclass(frozen=True, kw_only=True)
class StyleProfile:
    """Measured habits of speech, and two steps that apply them: `restyle` (fixed) and `decorate` (random).

    Example: `style.decorate("I like tea.", random.Random(0))` may be `"Hmph. I like tea, sailor."`
    """

    name: str
    pronoun: str
    """`he`, `she`, `it`, `they`, or empty when the kit does not tell."""
    banks: tuple[str, ...]
    """One or two names of phrase banks, the better fit first; the fallback alone if traits select none."""
    self_reference: str
    """`i`; `name` for a character that speaks of itself by name; `none` for one that leaves the "I" out."""
    contracts: bool
    """Whether it says "don't" rather than "do not"."""
    exclamations: float
    """Fraction of sentences that are exclamations, 0..1."""
    ellipses: float
    """Fraction of sentences that end in an ellipsis, 0..1."""
    yes: str
    no: str
    openers: dict[str, float]
    """What replies open with -> fraction of replies that do, 0..1."""
    closers: dict[str, float]
    """Catchphrases that replies end with -> fraction of replies that do, 0..1."""
    address: str
    """What it calls the other person; empty if nothing special."""
    address_rate: float
    """Fraction of replies with the form of address, 0..1."""

    def replies(self, topic: str) -> list[str]:
        """The replies of this character's phrase banks to a topic, the better fitting bank first."""
        found: list[str] = []
        for bank in self.banks:
            found += phrase_banks()[bank].replies[topic]
        return found

    def restyle(self, text: str) -> str | None:
        """A first-person text in this character's grammar and punctuation; None where that is impossible."""
        own: str | None = text
        if self.self_reference == "name":
            own = grammar.by_name(text, self.name, self.pronoun)
        elif self.self_reference == "none":
            own = grammar.without_i(text)
        if own is None:
            return None

        # A phrase bank's "my dear" would stand beside the character's own form of address.
        if self.address:
            own = re.sub(r", (my )?dear\b", "", own)
        if not self.contracts:
            own = grammar.expand(own)

        # Banks say "Yes" and "No"; this character may say "Aye".
        own = re.sub(r"^(Yes|No)(?=[,.!])", lambda m: self.yes if m[1] == "Yes" else self.no, own)
        return own if self.exclamations >= _RARE else own.replace("!", ".")

    def decorate(self, text: str, rng: random.Random, *, excitement: float = 1.0) -> str:
        """Add openers, closers and forms of address to a restyled text, about as often as the character does.

        Args:
            excitement: How fitting an exclamation is as an opener: 1 as often as in its own lines, 0 never.
        """
        # From the inside out: punctuation and address change the sentence, the rest stands around it.
        text = self._punctuated(text, rng)
        if self.address and self.address not in text and rng.random() < EMPHASIS * self.address_rate:
            text = _addressed(text, self.address)

        fitting = {
            opener: rate * (excitement if opener.endswith("!") else 1.0)
            for opener, rate in self.openers.items()
        }
        # Both are drawn before either is used, so that the number of draws does not depend on the text.
        opener, closer = _drawn(fitting, rng), _drawn(self.closers, rng)

        # A text that opens with an interjection of its own needs no second one.
        if opener and normalise(opener) not in normalise(text) and not _INTERJECTION.match(text):
            text = _opened(text, opener)
        if closer and normalise(closer) not in normalise(text):
            text = f"{text} {closer}"
        return text

    def _punctuated(self, text: str, rng: random.Random) -> str:
        """`text` with some full stops turned into ellipses and exclamations."""

        def end(m: re.Match[str]) -> str:
            # One draw decides between both, so that each full stop takes exactly one.
            draw = rng.random()
            if draw < self.ellipses * (self.ellipses > _RARE):
                return m[1] + "..."
            # Half the measured rate: phrase banks bring exclamations of their own.
            return m[1] + ("!" if draw < self.ellipses + self.exclamations / 2 else ".")

        return re.sub(r"(\w)\.(?=\s|$)", end, text)


def extract_style(kit: CuratedKit) -> StyleProfile:
    """Measure how the character of a kit talks."""
    # Everything that the character says in its kit.
    said = [kit.opening, *(picture.reply for picture in kit.pictures), *(d.reply for d in kit.dialogues)]
    lines = [line for line in said if line]
    ends = re.findall(rf"[^.!?…~]+({_END})", " ".join(lines))
    first_words = Counter(normalise(line).split(" ")[0] for line in lines)

    # Speech habits name in words what the lines may be too few to show.
    persona = kit.persona
    habits = " ".join(persona.speech_habits)
    address = _quoted_after(r"calls?|address\w*", persona.speech_habits)

    return StyleProfile(
        name=kit.name,
        pronoun=grammar.pronoun_of([kit.description, habits, *(fact.evidence for fact in kit.facts)]),
        banks=_select_banks(persona.style, persona.traits),
        self_reference=_self_reference(kit.name, lines, habits),
        contracts=_contracts(lines),
        exclamations=_fraction("!", ends),
        ellipses=_fraction(r"\.\.\.|…", ends),
        yes=_favourite(YES, first_words),
        no=_favourite(NO, first_words),
        openers=_openers(lines) or _habitual_opener(persona.speech_habits),
        closers=_closers(persona.catchphrases, lines),
        address=address,
        address_rate=_address_rate(address, lines),
    )


def _select_banks(style: str, traits: tuple[str, ...]) -> tuple[str, ...]:
    """The phrase bank with the highest score of signs, and a second one with at least half of it."""
    scores: Counter[str] = Counter()
    for name in BANKS:
        signs = re.compile(rf"\b({'|'.join(phrase_banks()[name].signs)})")
        scores[name] += bool(signs.search(style.lower()))

        for trait in traits:
            # A trait counts more than the style, and the first trait most: kits name the strongest one first.
            weight = 3 if trait == traits[0] else 2
            scores[name] += weight * bool(signs.search(trait.lower()))

    best = scores.most_common(2)
    most = best[0][1]
    return tuple(name for name, score in best if score and score * 2 >= most) or (FALLBACK,)


def _address_rate(address: str, lines: list[str]) -> float:
    """Fraction of lines with the form of address; 0 without one."""
    if not address:
        return 0.0

    # A habit that the kit spells out must be heard now and then, but not in every reply.
    return max(0.15, min(0.5, _fraction(re.escape(address), lines)))


def _self_reference(name: str, lines: list[str], habits: str) -> str:
    """`i`, `name` or `none`: as the speech habits say, else as the lines show."""
    # The pronoun is written with a capital, so these patterns must not ignore case.
    if re.search(r"third person|(never|not|instead of) (says? |uses? )?[\"“']?I\b", habits):
        return "name"
    if re.search(r"\b(drops?|omits?|leaves? out|skips?) [\"“']?I\b", habits):
        return "none"

    # Few lines without an "I" prove nothing.
    if len(lines) < _FEW_LINES or _fraction(r"\bI\b", lines) > 0.05:
        return "i"
    return "name" if _fraction(rf"\b{re.escape(name)}\b", lines) > 0.3 else "none"


def _contracts(lines: list[str]) -> bool:
    """Whether the character contracts, or has said too little to tell."""
    contraction = r"\w(n['’]t|['’](m|re|ve|ll|d))\b|\b(it|that|there)['’]s\b"
    return len(lines) < 5 or _fraction(contraction, lines) >= 0.02


def _openers(lines: list[str]) -> dict[str, float]:
    """Interjections that at least two replies begin with, and that carry no answer of their own."""
    # Up to three words that are cried out or trail off ("Oh dear me!"), or one short word ("Hm," or "Well.").
    exclaimed = r"((?:[A-Z][\w'’-]*)(?:,? [\w'’-]+){0,2}(?:!|\.\.\.|…))\s"
    short = r"([A-Z][a-z]{0,4}[,.])\s"

    found: Counter[str] = Counter()
    for line in lines:
        m = re.match(f"{exclaimed}|{short}", line)
        if m and normalise(m[0]) not in _NO_OPENERS:
            found[m[0].strip()] += 1

    least = max(1, _RARE * len(lines))
    return {text: count / len(lines) for text, count in found.most_common() if count > least}


def _habitual_opener(habits: tuple[str, ...]) -> dict[str, float]:
    """The opener that a speech habit quotes, with the rate 0.3; empty when none does."""
    quoted = _quoted_after(r"starts?|begins?|opens?", habits)
    if not quoted:
        return {}
    # No line shows how often; at 0.3 it is noticed and does not tire.
    return {quoted[:1].upper() + quoted[1:]: 0.3}


def _closers(catchphrases: tuple[str, ...], lines: list[str]) -> dict[str, float]:
    """Catchphrases that end replies, with their measured rate; those that only open replies are left out."""
    normalised = [normalise(line) for line in lines]
    closers = {}
    for phrase in catchphrases:
        plain = normalise(phrase)
        ends = sum(line.endswith(plain) and line != plain for line in normalised)
        opens = sum(line.startswith(plain) for line in normalised)

        # Some catchphrases are a greeting or a "yes"; at the end of a reply they make no sense.
        if plain in _NO_OPENERS or opens > ends:
            continue

        # Many lines without it show that it stands elsewhere; few lines prove nothing.
        if ends or len(lines) < _FEW_LINES:
            closers[sentence(phrase)] = max(0.05, ends / len(lines)) if lines else 0.1
    return closers


def _quoted_after(verb: str, habits: tuple[str, ...]) -> str:
    """The first quoted words of the first habit that contains `verb` (a pattern)."""
    for habit in habits:
        m = re.search(rf"\b(?:{verb})\b[^\"“]*[\"“]([^\"”]+)[\"”]", habit, re.IGNORECASE)
        if m:
            return m[1].strip()
    return ""


def _favourite(words: tuple[str, ...], first_words: Counter[str]) -> str:
    """The word that opens most lines; the first of `words` unless another does so twice."""
    best = max(words, key=lambda word: first_words[word])
    return capital(best if first_words[best] > 1 else words[0])


def _fraction(pattern: str, texts: list[str]) -> float:
    """Fraction of texts that contain a pattern, 0..1; case counts only in a pattern with a capital."""
    flags = re.IGNORECASE if pattern.islower() else 0
    return sum(bool(re.search(pattern, text, flags)) for text in texts) / max(1, len(texts))


def _drawn(rates: dict[str, float], rng: random.Random) -> str:
    """One key, each with `EMPHASIS` times its rate as probability, or empty."""
    # Dividing the draw multiplies every probability by EMPHASIS.
    draw = rng.random() / EMPHASIS
    for text, rate in rates.items():
        draw -= rate
        if draw < 0:
            return text
    return ""


def _opened(text: str, opener: str) -> str:
    """`text` after an opener; unchanged after a comma when its first word cannot lose the capital."""
    if not opener.endswith(","):
        return f"{opener} {text}"

    # `inner` lowers the first letter only where that is certain; "I" keeps it in any case.
    lowered = inner(text)[:1] + text[1:]
    return f"{opener} {lowered}" if lowered != text or re.match(r"I\b", text) else text


def _addressed(text: str, address: str) -> str:
    """Put the form of address before the first full stop, ! or ? of a sentence without inner commas."""
    for m in re.finditer(r"[^.!?…]+", text):
        num_words = len(m[0].split())
        follows = text[m.end() : m.end() + 1]
        plain = "," not in m[0] and '"' not in m[0]

        # A single word sounds clipped with an address, and at the end of a long sentence it comes too late.
        if follows in tuple(".!?") and plain and 2 <= num_words <= 14:
            return text[: m.end()] + f", {address}" + text[m.end() :]
    return text
