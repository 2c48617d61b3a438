"""Facts told by the character itself, and the topics of conversation that ask for them."""

import re

from unichar.interactions import grammar
from unichar.interactions.context import Context
from unichar.interactions.phrase_banks import user_texts
from unichar.interactions.style_profile import StyleProfile
from unichar.interactions.topics import Topic, make_topic
from unichar.interactions.wording import capital, fill_slots, inner, normalise, question_inner, sentence
from unichar.types import Fact

_YES_NO = re.compile(r"(yes|no)\b", re.IGNORECASE)


def fact_topics(context: Context) -> list[Topic]:
    """One topic a fact, named `fact-00`, `fact-01`, ... in the kit's order."""
    return [_fact_topic(number, fact, context) for number, fact in enumerate(context.kit.facts)]


def story_topic(context: Context) -> Topic:
    """What the character tells when asked to tell something: any fact that makes a sentence on its own."""
    style = context.style
    # Only evidence is told: an answer without its question tells nothing.
    replies = []
    for fact in context.kit.facts:
        told = statements(fact, style)[1]
        if told:
            replies += [fill_slots(phrase, fact=told) for phrase in style.replies("story")]

    context.rng.shuffle(replies)
    users = [fill_slots(user, name=style.name) for user in user_texts()["story"]]
    return make_topic("story", "small_talk", users, [style.restyle(reply) for reply in replies])


def statements(fact: Fact, style: StyleProfile) -> tuple[str, str]:
    """What the character can say to answer a question about a fact.

    Returns:
        (the answer as a sentence, the evidence as a sentence). Either is empty where it cannot be put into
        the character's person with certainty; the evidence also where it does not answer the question by
        itself.
    """
    if style.self_reference == "name":
        answer, told = fact.answer, _evidence_by_name(fact, style)
    else:
        answer = grammar.first_person(fact.answer, style.name, style.pronoun) or ""
        told = grammar.first_person(fact.evidence, style.name, style.pronoun) or ""

    # Evidence often leaves out whose friend, boat or home it is; the question says it.
    whose = f"{style.name}'s" if style.self_reference == "name" else "My"
    told = _with_possessive(told, _question_to_character(fact, style), whose)

    answer = sentence(answer) if answer.strip() else ""
    answers = _is_sentence(told) and _shares_a_word(told, fact.answer)
    return answer, told if answers else ""


def _fact_topic(number: int, fact: Fact, context: Context) -> Topic:
    """A topic that asks for one fact. Replies: the evidence, the answer in phrases, the bare answer."""
    style = context.style
    question = _question_to_character(fact, style)
    answer, told = statements(fact, style)

    replies = [told]
    # "Yes. Does that help?" would be no answer, so yes and no stand alone.
    if not _YES_NO.match(answer):
        phrases = style.replies("fact")
        shuffled = context.rng.sample(phrases, len(phrases))
        if answer:
            replies += [fill_slots(phrase, fact=answer, inner=inner(answer) + ".") for phrase in shuffled]
    replies.append(answer)

    # A question stands alone (capital) or after a colon (small letter); the slots say which.
    users = []
    for user in user_texts()["fact"]:
        users.append(fill_slots(user, Question=question, question=question_inner(question), name=style.name))
    return make_topic(
        f"fact-{number:02d}", "fact", users, [style.restyle(reply) for reply in replies if reply]
    )


def _question_to_character(fact: Fact, style: StyleProfile) -> str:
    """The fact's question, put to the character itself."""
    return grammar.second_person(fact.question, style.name, style.pronoun)


def _evidence_by_name(fact: Fact, style: StyleProfile) -> str:
    """The evidence with the name for a leading pronoun; empty when it refers to a sentence before it."""
    # Only at the very beginning: a pronoun further on may be about somebody else.
    named = fact.evidence
    if style.pronoun:
        named = re.sub(rf"^{capital(style.pronoun)} ", f"{style.name} ", named)
    return "" if grammar.points_back(named, "") else named


def _is_sentence(text: str) -> bool:
    """Whether a piece of evidence is one plain sentence (not a heading, a list item or half a page)."""
    if not re.fullmatch(r"[A-Z][^:;*#|\n]*[.!]", text) or re.search(r"[a-z][.!?] [A-Z]", text):
        return False

    # Shorter ones are fragments; longer ones are more than anybody says in one breath.
    return 4 <= len(text.split()) <= 28


def _shares_a_word(evidence: str, answer: str) -> bool:
    """Whether the evidence holds a long word of the answer (any word where none is long)."""
    # Words of up to three letters are articles and prepositions, which any sentence has.
    words = normalise(answer).split()
    long_words = [word for word in words if len(word) > 3]
    return any(word in normalise(evidence).split() for word in long_words or words)


def _with_possessive(evidence: str, question: str, whose: str) -> str:
    """`The best friend is Lupe.` -> `My best friend is Lupe.` if the question asks for "your best friend"."""
    m = re.match(r"The (?:[\w'-]+ ){0,2}([\w'-]+) (?=(is|was|are|were|came|comes)\b)", evidence)
    if m and re.search(rf"\byour (?:[\w'-]+ ){{0,2}}{m[1]}\b", question):
        return whose + evidence[3:]
    return evidence
