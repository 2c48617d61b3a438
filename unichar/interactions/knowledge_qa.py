"""Questions about the character's facts, without any card: the answers must be in the weights.

Every fact is trained; what the test holds out is the wording (`fact-07/paraphrase` against `fact-07`).
Distractors are answers to the same kit's other facts, so an option cannot be ruled out by style alone.

Departs from the paper, where 37 of 200 test questions repeat a training question and one letter is right 58 %
of the time.
"""

import random
import re

from unichar.interactions.context import Context
from unichar.interactions.wording import capital, fill_slots, normalise, question_inner
from unichar.types import Fact, Interaction, Segment, Split

_TRAINED = (
    "{question}",
    "A question about {name}: {inner}",
    "Do you know this? {question}",
    "Please answer in a few words: {inner}",
)
"""Training wordings of a question that names the character."""
_TRAINED_UNNAMED = (
    "About {name}: {inner}",
    "A question about {name}: {inner}",
    "Do you know this about {name}? {question}",
    "Please tell me about {name}: {inner}",
)
"""Training wordings of any other question. Without a card, each has to say who is meant."""
_TESTED = "Here is a quiz about {name}. {question}"
"""Test wording of a fact without a paraphrase; training never uses this frame."""
_NUM_OPTIONS = 4
_YES_NO = re.compile(r"(yes|no)\b", re.IGNORECASE)
_NUMBER = re.compile(
    r"\d|\b(one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|"
    r"twenty|thirty|forty|fifty|hundred|thousand)\b"
)


def knowledge_qa(context: Context) -> list[Interaction]:
    """Training wordings of every fact, then a four-option test sample of each with three fair distractors."""
    kit = context.kit
    items = []
    for number, fact in enumerate(kit.facts):
        # Two frames can give one text; it is trained once.
        wordings = _training_wordings(fact, kit.name)[: context.config.num_knowledge_wordings]
        items += [_item(number, "train", text, fact) for text in dict.fromkeys(wordings)]

    for number, fact in enumerate(kit.facts):
        options = _options(fact, kit.facts, context.rng)
        if options:
            items.append(_item(number, "test", _test_wording(fact, kit.name), fact, options))
    return items


def _training_wordings(fact: Fact, name: str) -> list[str]:
    """All training wordings of a fact's question."""
    asked = _with_name(fact.question, name)
    frames = _TRAINED if name in asked else _TRAINED_UNNAMED
    return [fill_slots(frame, question=asked, inner=question_inner(asked), name=name) for frame in frames]


def _test_wording(fact: Fact, name: str) -> str:
    """The held-out wording: the paraphrase, or the question in a frame that training never uses."""
    asked = _with_name(fact.paraphrase or fact.question, name)
    if not fact.paraphrase:
        return fill_slots(_TESTED, name=name, question=asked)
    return asked if name in asked else f"Concerning {name}: {question_inner(asked)}"


def _with_name(question: str, name: str) -> str:
    """A question that speaks to the character, with its name in front; any other as it is."""
    if re.search(r"\byour?\b", question, re.IGNORECASE):
        return f"{name}, {question_inner(question)}"
    return question


def _options(fact: Fact, facts: tuple[Fact, ...], rng: random.Random) -> tuple[str, ...]:
    """The right answer, then three wrong ones nearest in type and length; empty when the kit has no three.

    Facts with the same evidence are left out: their answers could be right as well.
    """
    # Yes and no have one wrong answer, not three.
    if _YES_NO.match(fact.answer):
        return ()

    # Yes and no would be ruled out at once among other answers.
    others = [other for other in facts if other.evidence != fact.evidence and not _YES_NO.match(other.answer)]
    # Shuffled first, so that the stable sort leaves equally near answers in random order.
    rng.shuffle(others)
    others.sort(key=lambda other: _distance(fact, other))

    # Nearest first, and no option may mean the same as one before it.
    options = [fact.answer]
    for other in others:
        if len(options) < _NUM_OPTIONS and not any(_overlaps(other.answer, option) for option in options):
            options.append(other.answer)

    if len(options) < _NUM_OPTIONS:
        return ()
    return tuple(capital(option.strip()) for option in options)


def _distance(fact: Fact, other: Fact) -> float:
    """How easily an answer to `other` is ruled out as an answer to `fact`, in words of length."""
    # The weights say how many words of difference in length a wrong type is worth.
    length = abs(len(fact.answer.split()) - len(other.answer.split()))
    kind = _answer_type(fact) != _answer_type(other)
    question = _question_word(fact) != _question_word(other)
    return length + 3 * kind + 2 * question


def _answer_type(fact: Fact) -> str:
    """`number`, `name` or `thing`."""
    answer = fact.answer.strip()
    if _NUMBER.search(answer.lower()):
        return "number"

    # A capital in front shows a name, unless the answer is written like a sentence: "Tea" might be either.
    words = re.sub(r"^(the|a|an|in|on|at|with|by|to) ", "", answer)
    return "name" if words[:1].isupper() and answer != capital(answer.lower()) else "thing"


def _question_word(fact: Fact) -> str:
    # The first one found: in "What does he do when it rains?" that is "what".
    found = re.search(r"\b(who|whom|where|when|why|how many|how|which|what)\b", fact.question.lower())
    return found[1] if found else ""


def _overlaps(one: str, two: str) -> bool:
    """Whether two answers mean the same: one contains the other, or half the words of two long ones agree."""
    a, b = normalise(one), normalise(two)
    if f" {a} " in f" {b} " or f" {b} " in f" {a} ":
        return True

    # Short answers have a word in common by chance ("the sea", "the moon"), so words count in long ones only.
    words, others = set(a.split()), set(b.split())
    return min(len(words), len(others)) >= 5 and len(words & others) >= 0.5 * len(words | others)


def _item(number: int, split: Split, text: str, fact: Fact, options: tuple[str, ...] = ()) -> Interaction:
    segments = (
        Segment(type="text", value=text, role="user"),
        Segment(type="text", value=capital(fact.answer.strip()), role="assistant", loss=True),
    )

    # A group of its own for the test: what is held out is the wording, not the fact.
    group, form = f"fact-{number:02d}", "question"
    if split == "test":
        group, form = f"{group}/paraphrase", "paraphrase" if fact.paraphrase else "quiz"

    return Interaction(
        id="", kind="knowledge_qa", form=form, split=split, group=group, segments=segments, options=options
    )
