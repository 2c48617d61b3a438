"""Questions about the character's facts, without any card: what it is must be in the weights.

Every fact is trained; what the test holds out is the wording (`fact-07/paraphrase` against `fact-07`). Distractors are
answers of the same kit's other facts, so an option cannot be ruled out by style alone.

Departs from the paper, where 37 of 200 test questions repeat a training question and one letter is right 58 % of the time.
"""

import random
import re

from unichar.interactions.config import InteractionsConfig
from unichar.interactions.wording import capital, normalise, question_inner
from unichar.types import CuratedKit, Fact, Interaction, Segment, Split

_TRAINED = (
    "{question}",
    "A question about {name}: {inner}",
    "Do you know this? {question}",
    "Please answer in a few words: {inner}",
)
_TRAINED_UNNAMED = (
    "About {name}: {inner}",
    "A question about {name}: {inner}",
    "Do you know this about {name}? {question}",
    "Please tell me about {name}: {inner}",
)
_TESTED = "Here is a quiz about {name}. {question}"
_NUM_OPTIONS = 4
_YES_NO = re.compile(r"(yes|no)\b", re.IGNORECASE)
_NUMBER = re.compile(
    r"\d|\b(one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty|forty|fifty|hundred|thousand)\b"
)


def knowledge_qa(kit: CuratedKit, config: InteractionsConfig, rng: random.Random) -> list[Interaction]:
    """The training wordings of every fact, then one four-option test item for every fact that allows three fair distractors."""
    items = []
    for number, fact in enumerate(kit.facts):
        asked = _addressed(fact.question, kit.name)
        forms = _TRAINED if kit.name in asked else _TRAINED_UNNAMED
        fill = {"question": asked, "inner": question_inner(asked), "name": kit.name}
        wordings = dict.fromkeys(form.format(**fill) for form in forms[: config.num_knowledge_wordings])
        items += [_item(number, "train", text, fact, ()) for text in wordings]
    for number, fact in enumerate(kit.facts):
        options = _options(fact, kit.facts, rng)
        if options:
            items.append(_item(number, "test", _tested(fact, kit.name), fact, options))
    return items


def _addressed(question: str, name: str) -> str:
    """A question that speaks to the character, with its name in front; any other as it is."""
    return (
        f"{name}, {question_inner(question)}"
        if re.search(r"\byour?\b", question, re.IGNORECASE)
        else question
    )


def _tested(fact: Fact, name: str) -> str:
    """The held-out wording: the paraphrase, or the question in a frame that training never uses."""
    asked = _addressed(fact.paraphrase or fact.question, name)
    if not fact.paraphrase:
        return _TESTED.format(name=name, question=asked)
    return asked if name in asked else f"Concerning {name}: {question_inner(asked)}"


def _options(fact: Fact, facts: tuple[Fact, ...], rng: random.Random) -> tuple[str, ...]:
    """The right answer, then three wrong ones of the nearest type and length; empty when the kit has no three.

    Facts with the same evidence are left out: their answers could be right as well.
    """
    if _YES_NO.match(fact.answer):
        return ()
    others = [f for f in facts if f.evidence != fact.evidence and not _YES_NO.match(f.answer)]
    rng.shuffle(others)
    others.sort(key=lambda other: _distance(fact, other))
    chosen = [fact.answer]
    for other in others:
        if len(chosen) < _NUM_OPTIONS and not any(_overlaps(other.answer, answer) for answer in chosen):
            chosen.append(other.answer)
    return tuple(capital(answer.strip()) for answer in chosen) if len(chosen) == _NUM_OPTIONS else ()


def _distance(fact: Fact, other: Fact) -> float:
    """How easily an answer to `other` is ruled out as an answer to `fact`, in words of length."""
    far = abs(len(fact.answer.split()) - len(other.answer.split()))
    return far + 3 * (_kind(fact) != _kind(other)) + 2 * (_asks_for(fact) != _asks_for(other))


def _kind(fact: Fact) -> str:
    if _NUMBER.search(fact.answer.lower()):
        return "number"
    words = re.sub(r"^(the|a|an|in|on|at|with|by|to) ", "", fact.answer.strip())
    return (
        "name"
        if words[:1].isupper() and fact.answer.strip() != capital(fact.answer.strip().lower())
        else "thing"
    )


def _asks_for(fact: Fact) -> str:
    found = re.search(r"\b(who|whom|where|when|why|how many|how|which|what)\b", fact.question.lower())
    return found[1] if found else ""


def _overlaps(one: str, two: str) -> bool:
    """Whether two answers say much the same: one holds the other, or two long ones share half of their words."""
    a, b = normalise(one), normalise(two)
    words, others = set(a.split()), set(b.split())
    similar = min(len(words), len(others)) >= 5 and len(words & others) >= 0.5 * len(words | others)
    return similar or f" {a} " in f" {b} " or f" {b} " in f" {a} "


def _item(number: int, split: Split, text: str, fact: Fact, options: tuple[str, ...]) -> Interaction:
    segments = (
        Segment(type="text", value=text, role="user"),
        Segment(type="text", value=capital(fact.answer.strip()), role="assistant", loss=True),
    )
    group = f"fact-{number:02d}" + ("/paraphrase" if split == "test" else "")
    form = "question" if split == "train" else ("paraphrase" if fact.paraphrase else "quiz")
    return Interaction(
        id="", kind="knowledge_qa", form=form, split=split, group=group, segments=segments, options=options
    )
