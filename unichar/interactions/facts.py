"""Facts in the character's mouth: what it tells, and the topics of conversation that ask for it."""

import re

from unichar.interactions import person
from unichar.interactions.topics import Topic, topic
from unichar.interactions.voice import Voice
from unichar.interactions.wording import question_inner, sentence
from unichar.records import CuratedKit, Fact

_ASKED = (
    "{Question}",
    "{name}, {question}",
    "Tell me, {question}",
    "May I ask you something? {Question}",
    "I've been wondering: {question}",
    "Somebody asked me: {question}",
)
_YES_NO = re.compile(r"(yes|no)\b", re.IGNORECASE)


def statements(fact: Fact, voice: Voice) -> list[str]:
    """What the character can say to answer a question about the fact, each a whole reply of its own.

    The answer as a sentence, and the evidence in the character's own person where that can be done with certainty.
    """
    asked = asked_directly(fact, voice)
    if voice.says_i == "name":
        told = [fact.answer, _evidence(fact, fact.evidence)]
    else:
        own = person.first_person(fact.evidence, voice.name, voice.pronoun)
        told = [person.first_person(fact.answer, voice.name, voice.pronoun), _evidence(fact, own and _claimed(own, asked))]
    return [sentence(text) for text in told if text and text.strip()]


def asked_directly(fact: Fact, voice: Voice) -> str:
    """The fact's question, put to the character itself."""
    return person.second_person(fact.question, voice.name, voice.pronoun)


def fact_topics(kit: CuratedKit, voice: Voice) -> list[Topic]:
    """One topic a fact, named `fact-00`, `fact-01`, ... in the kit's order."""
    return [_fact_topic(number, fact, voice) for number, fact in enumerate(kit.facts)]


def story_topic(kit: CuratedKit, voice: Voice) -> Topic:
    """What the character tells when asked to tell something: any fact that makes a sentence on its own."""
    users = [
        "Tell me something about yourself.",
        "Tell me a story.",
        "Tell me something interesting, {name}.",
        "What should I know about you?",
    ]
    told = [told for fact in kit.facts for told in statements(fact, voice)[1:]]
    replies = [phrase.replace("{fact}", fact) for fact in told for phrase in voice.phrases("story")]
    return topic("story", "small_talk", [user.replace("{name}", kit.name) for user in users], [voice.own(r) for r in replies])


def _fact_topic(number: int, fact: Fact, voice: Voice) -> Topic:
    question = asked_directly(fact, voice)
    fill = {"Question": question, "question": question_inner(question), "name": voice.name}
    plain = voice.phrases("told") if not _YES_NO.match(fact.answer) else ["{fact}"]
    replies = [phrase.replace("{fact}", told) for phrase in plain for told in statements(fact, voice)]
    return topic(f"fact-{number:02d}", "fact", [form.format(**fill) for form in _ASKED], [voice.own(r) for r in replies])


def _evidence(fact: Fact, told: str | None) -> str:
    """The evidence if it is one plain sentence of its own (not a heading, a list item or half a page)."""
    if not told or not re.fullmatch(r"[A-Z][^:;*#|\n]*[.!]", told) or not 4 <= len(told.split()) <= 28:
        return ""
    return "" if re.search(r"[a-z][.!?] [A-Z]", told) else told


def _claimed(evidence: str, question: str) -> str:
    """`The best friend is Lupe.` -> `My best friend is Lupe.` where the question asks for "your best friend"."""
    m = re.match(r"The (?:[\w'-]+ ){0,2}([\w'-]+) (?=(is|was|are|were|came|comes)\b)", evidence)
    if m and re.search(rf"\byour (?:[\w'-]+ ){{0,2}}{m[1]}\b", question):
        return "My" + evidence[3:]
    return evidence
