"""Facts in the character's mouth: what it tells, and the topics of conversation that ask for it."""

import random
import re

from unichar.interactions import grammar
from unichar.interactions.style_profile import Voice
from unichar.interactions.topics import Topic, topic
from unichar.interactions.wording import capital, inner, normalise, question_inner, sentence
from unichar.types import CuratedKit, Fact

_ASKED = (
    "{Question}",
    "{name}, {question}",
    "Tell me, {question}",
    "May I ask you something? {Question}",
    "I've been wondering: {question}",
    "Somebody asked me: {question}",
)
_YES_NO = re.compile(r"(yes|no)\b", re.IGNORECASE)


def statements(fact: Fact, voice: Voice) -> tuple[str, str]:
    """What the character can say to answer a question about the fact: (the answer as a sentence, the evidence as one).

    Either is empty where it cannot be put into the character's own person with certainty.
    """
    asked = asked_directly(fact, voice)
    if voice.says_i == "name":
        named = (
            re.sub(rf"^{capital(voice.pronoun)} ", f"{voice.name} ", fact.evidence)
            if voice.pronoun
            else fact.evidence
        )
        answer, told = fact.answer, "" if grammar.points_back(named, "") else named
    else:
        answer = grammar.first_person(fact.answer, voice.name, voice.pronoun) or ""
        told = grammar.first_person(fact.evidence, voice.name, voice.pronoun) or ""
    told = _claimed(told, asked, f"{voice.name}'s" if voice.says_i == "name" else "My")
    return sentence(answer) if answer.strip() else "", told if _is_sentence(told) and _tells(
        told, fact.answer
    ) else ""


def asked_directly(fact: Fact, voice: Voice) -> str:
    """The fact's question, put to the character itself."""
    return grammar.second_person(fact.question, voice.name, voice.pronoun)


def fact_topics(kit: CuratedKit, voice: Voice, rng: random.Random) -> list[Topic]:
    """One topic a fact, named `fact-00`, `fact-01`, ... in the kit's order."""
    return [_fact_topic(number, fact, voice, rng) for number, fact in enumerate(kit.facts)]


def story_topic(kit: CuratedKit, voice: Voice, rng: random.Random) -> Topic:
    """What the character tells when asked to tell something: any fact that makes a sentence on its own."""
    users = [
        "Tell me something about yourself.",
        "Tell me a story.",
        "Tell me something interesting, {name}.",
        "What should I know about you?",
    ]
    told = [told for fact in kit.facts if (told := statements(fact, voice)[1])]
    replies = [phrase.replace("{fact}", fact) for fact in told for phrase in voice.phrases("story")]
    rng.shuffle(replies)
    return topic(
        "story",
        "small_talk",
        [user.replace("{name}", kit.name) for user in users],
        [voice.own(r) for r in replies],
    )


def _fact_topic(number: int, fact: Fact, voice: Voice, rng: random.Random) -> Topic:
    question = asked_directly(fact, voice)
    fill = {"Question": question, "question": question_inner(question), "name": voice.name}
    answer, told = statements(fact, voice)
    replies = [told]
    if not _YES_NO.match(answer):
        tails = rng.sample(voice.phrases("told"), len(voice.phrases("told")))
        replies += [
            p.replace("{fact}", answer).replace("{inner}", inner(answer) + ".") for p in tails if answer
        ]
    replies.append(answer)
    users = [form.format(**fill) for form in _ASKED]
    return topic(f"fact-{number:02d}", "fact", users, [voice.own(reply) for reply in replies if reply])


def _is_sentence(text: str) -> bool:
    """Whether a piece of evidence is one plain sentence (not a heading, a list item or half a page)."""
    plain = re.fullmatch(r"[A-Z][^:;*#|\n]*[.!]", text) and 4 <= len(text.split()) <= 28
    return bool(plain) and not re.search(r"[a-z][.!?] [A-Z]", text)


def _tells(evidence: str, answer: str) -> bool:
    """Whether the evidence holds a telling word of the answer, so that it answers the question by itself."""
    words = [word for word in normalise(answer).split() if len(word) > 3] or normalise(answer).split()
    return any(word in normalise(evidence).split() for word in words)


def _claimed(evidence: str, question: str, whose: str) -> str:
    """`The best friend is Lupe.` -> `My best friend is Lupe.` where the question asks for "your best friend"."""
    m = re.match(r"The (?:[\w'-]+ ){0,2}([\w'-]+) (?=(is|was|are|were|came|comes)\b)", evidence)
    if m and re.search(rf"\byour (?:[\w'-]+ ){{0,2}}{m[1]}\b", question):
        return whose + evidence[3:]
    return evidence
