"""Grammatical person: facts in the third person become statements in the first and questions in the second.

English only, by rule and without a parser. A rule that is not certain returns None, and the composer leaves
the sentence out: no reply is better than a broken one.
"""

import re

from unichar.interactions.wording import capital

_ADVERB = (
    r"(?:always|never|often|usually|only|still|also|once|sometimes|really|rarely|just|ever|even|already|now|then|"
    r"soon|\w+ly)"
)
"""Words that may stand between subject and verb."""
_LEADING = (
    r"(?:(?:Today|Nowadays) |"
    r"(?:At|In|On|As|To|Every|Each|Once|After|Before|During|With|For|Twice|Under|By)\b[^.;:]{1,40}[\w,] )"
)
"""An adverbial before the subject, as in "On free days she ..."; a longer one may be a clause."""
_CLAUSE = (
    r"(?:^|[.!?;,:]\s+|\b(?:and|but|because|when|while|that|if|so|until|since|where|before|after|which|whom|what|"
    r"why|how|as|than)\s+)"
)
"""Where a clause, and with it a subject, can begin."""
_TAKES_OBJECT = (
    r"(keeps?|kept|makes?|made|calls?|called|finds?|found|leaves?|left|lets?|helps?|gives?|gave|taught|told|"
    r"tells?)"
)
"""Verbs after which "her" is the person, not a possessive."""
_NO_NOUN = r"(?:and|or|but|to|in|on|at|with|for|from|when|as|because|every|the|a|how)\b"
"""Words before which "her" is the person: a possessive stands before a noun."""
_FORMS = {
    "he": {"subject": "he", "object": "him", "possessive": "his", "reflexive": "himself"},
    "she": {"subject": "she", "object": "her", "possessive": "her", "reflexive": "herself"},
    "it": {"subject": "it", "object": "it", "possessive": "its", "reflexive": "itself"},
    "they": {"subject": "they", "object": "them", "possessive": "their", "reflexive": "themselves"},
}
_IRREGULAR = {
    "is": "am",
    "has": "have",
    "does": "do",
    "isn't": "am not",
    "hasn't": "haven't",
    "doesn't": "don't",
}
"""Third-person forms -> the first person's, where the rule of `_plain_form` is wrong."""
_KNOWN_VERBS = (
    "is|has|does|goes|keeps|makes|takes|gives|says|gets|comes|sees|knows|thinks|loves|hates|likes|wants|lives|eats|"
    "brings|sings|writes|reads|tells|asks|carries|tries|believes|pretends|rejects|regards|forgives|pays|wears|"
    "refuses|sleeps|speaks|hides|collects|sells|grows|builds|teaches|learns|runs|sits|stands"
)
"""Verbs that are certain: any other word in -s may be a plural noun."""
_NO_S = re.compile(r"(ss|us|is|ous)$")
"""Endings whose -s is no verb ending."""
_SAME_IN_THIRD = (
    "can|could|will|would|shall|should|may|might|must|was|had|did|said|knew|saw|heard|found|thought|forgave|came|"
    "went|took|made|got|woke|kept"
)
"""Verbs with one form for all persons."""
_CONTRACTIONS = {
    r"\bcan't\b": "cannot",
    r"\bwon't\b": "will not",
    r"\bshan't\b": "shall not",
    r"n't\b": " not",
    r"\bI'm\b": "I am",
    r"'re\b": " are",
    r"'ve\b": " have",
    r"'ll\b": " will",
    r"\bI'd\b": "I would",
    r"\b([Yy]ou|[Tt]hey|[Ww]e)'d\b": r"\1 would",
    # Elsewhere 's may be a possessive.
    r"\b([Ii]t|[Tt]hat|[Tt]here|[Hh]ere|[Ww]hat|[Hh]e|[Ss]he|[Nn]obody)'s\b": r"\1 is",
    r"\b([Ll])et's\b": r"\1et us",
}
"""Pattern -> full form, in this order: the special cases come before the endings."""
_SENTENCE_START = r"(^|[.!?]\s+)"


def pronoun_of(texts: list[str]) -> str:
    """The pronoun that a character's texts use for it: `he`, `she`, `it`, `they`, or empty if unclear."""
    text = " ".join(texts).lower()
    # Only these two are counted: "it" and "they" in any text are mostly something else.
    counts = {}
    for pronoun in ("he", "she"):
        forms = _FORMS[pronoun]
        own = rf"\b(?:{pronoun}|{forms['possessive']}|{forms['object']})\b"
        counts[pronoun] = len(re.findall(own, text))

    # Other people are mentioned too, so the winner needs more than twice the other's mentions.
    best = max(counts, key=lambda pronoun: counts[pronoun])
    is_clear = counts[best] > 2 * min(counts.values())
    if is_clear and counts[best] > 2:
        return best

    # "speaks of itself": a reflexive in a text about the character nearly always means the character.
    for pronoun, forms in _FORMS.items():
        if re.search(rf"\b{forms['reflexive']}\b", text):
            return pronoun
    return best if is_clear else ""


def first_person(text: str, name: str, pronoun: str) -> str | None:
    """A sentence or phrase about the character as the character itself would say it.

    Example: `first_person("She fears fog, and Skerry has a boat.", "Skerry", "she")` is
    `"I fear fog, and I have a boat."`.

    Args:
        pronoun: From `pronoun_of`; empty if unknown, then any pronoun near the start makes the text unusable.

    Returns:
        None when the sentence cannot be turned with certainty.
    """
    who = _literally(name)
    # A shared subject ("Skerry and Tomas row") or a relative clause needs other verb forms.
    shared = rf"{who},? (who|which|and|or)\b|\b(and|or) {who}(?!['’]|(?: {_ADVERB})* [a-z]+s\b)"
    if re.search(shared, text) or points_back(text, pronoun):
        return None

    text = _possessives(text, who, pronoun, "my", "me")
    subject = rf"(?:{who}|\b{pronoun}\b)" if pronoun else who
    found = re.compile(rf"({_CLAUSE}|^{_LEADING}){subject}((?:\s+{_ADVERB})*)\s+([\w']+)", re.IGNORECASE)
    turned = found.sub(lambda m: f"{m[1]}I{m[2]} {_plain_form(m[3], pronoun)}", text)

    # Whatever is left of the name is no subject; a pronoun that is left was not understood.
    turned = re.sub(who, "me", turned)
    if pronoun and re.search(rf"\b({pronoun}|{_FORMS[pronoun]['possessive']})\b", turned, re.IGNORECASE):
        return None
    return _agree(turned) if re.search(r"\bI\b", turned) else turned


def second_person(question: str, name: str, pronoun: str) -> str:
    """A question about the character as a question to it.

    Example: `second_person("Where does Mochi live?", "Mochi", "it")` is `"Where do you live?"`.
    """
    own = _literally(name)
    who = rf"(?:{own}|\b{pronoun}\b)" if pronoun else own

    # "the boat of Mochi" and "Mochi's boat" -> "your boat".
    text = re.sub(rf"\bthe ((?:\w+ ){{1,3}})of {own}(?!['’])", r"your \1", question).replace("  ", " ")
    text = _possessives(text, own, pronoun, "your", "you")
    text = re.sub(r"\b(your (?:\w+ ){1,3})(?=[?.,])", lambda m: m[1].rstrip(), text)

    # "does Mochi" -> "do you".
    forms = {"does": "do", "is": "are", "was": "were", "has": "have", "doesn't": "don't", "isn't": "aren't"}
    inverted = re.compile(rf"\b(does|is|was|has|doesn't|isn't) {who}", re.IGNORECASE)
    text = inverted.sub(lambda m: _cased(forms[m[1].lower()], m[1]) + " you", text)

    # "that Mochi often gives" -> "that you often give", then the same without a conjunction in front.
    opens = "what|where|when|why|how|that|which|whom|because|if|while"
    straight = re.compile(rf"\b({opens}) {who}((?: {_ADVERB})*) ([\w']+)", re.IGNORECASE)
    text = straight.sub(lambda m: f"{m[1]} you{m[2]} {_you_form(m[3], pronoun)}", text)
    bare = re.compile(rf"{who}((?: {_ADVERB})*) ({_KNOWN_VERBS})\b")
    text = bare.sub(lambda m: f"you{m[1]} {_you_form(m[2], pronoun)}", text)

    # "it" and "they" are left alone: in a question they are as often something else.
    return capital(re.sub(who if pronoun in ("", "he", "she") else own, "you", text))


def by_name(text: str, name: str, pronoun: str) -> str | None:
    """A composed first-person text as a character says it that speaks of itself by name.

    Example: `by_name("I like it.", "Mochi", "it")` is `"Mochi likes it."`.

    Returns:
        None when a "myself" or "mine" has no such form.
    """
    text = re.sub(rf"\bI(?:'m| am) {_literally(name)}", "this is " + name, text)
    for short, full in (("I'm", "I am"), ("I've", "I have"), ("I'll", "I will"), ("I'd", "I would")):
        text = re.sub(rf"\b{short}\b", full, text)

    # Questions first, where the verb stands before the "I"; modal verbs have no third-person form.
    forms = {"am": "is", "do": "does", "have": "has", "don't": "doesn't"}
    inverted = re.compile(r"\b([Aa]m|[Dd]o|[Hh]ave) I\b")
    text = inverted.sub(lambda m: _cased(forms[m[1].lower()], m[1]) + f" {name}", text)
    modal = r"\b([Ww]ould|[Ss]hould|[Cc]ould|[Cc]an|[Ww]ill|[Dd]id|[Ss]hall|[Mm]ay) I\b"
    text = re.sub(modal, rf"\1 {name}", text)
    text = re.sub(rf"\bI((?: {_ADVERB})*) ([\w']+)", lambda m: f"{name}{m[1]} {_third_form(m[2])}", text)
    if re.search(r"\b(myself|mine)\b", text):
        return None

    # "its best" after the name has been said, "Mochi's best" before.
    short = _FORMS[pronoun]["possessive"] if pronoun else f"{name}'s"
    text = re.sub(r"\b[Mm]y\b", lambda m: short if name in text[: m.start()] else f"{name}'s", text)
    text = re.sub(r"\b(me|I|Me)\b", name, text)
    return _capitalised(text)


def without_i(text: str) -> str | None:
    """A composed first-person text as a character says it that leaves the "I" out.

    Example: `without_i("I've seen it.")` is `"Seen it."`.

    Returns:
        None when an "I" stands where it cannot be left out.
    """
    text = re.sub(r"^I do\b", "Yes", text)

    # "I have a list" -> "Got a list", but "I have seen" -> "Seen".
    owns = rf"{_SENTENCE_START}I(?:'ve| have) (?=(?:a|an|the|my|no|some|two|three|standards)\b)"
    text = re.sub(owns, r"\1Got ", text)
    auxiliary = rf"{_SENTENCE_START}I (?:have|was (?=born|built|made|raised|found|named|called|taught)) ?"
    text = re.sub(auxiliary, r"\1", text)

    # "I'm" loses its verb, too ("Tired."); "will" and "would" carry meaning and stay.
    kept = {"'m": "", "'ve": "", "'ll": "will ", "'d": "would "}
    subject = rf"{_SENTENCE_START}I('m|'ve|'ll|'d)? (?:(?<=I )am )?"
    text = _capitalised(re.sub(subject, lambda m: m[1] + kept.get(m[2] or "", ""), text))
    return None if re.search(r"\bI\b", text) else text


def possessive(pronoun: str) -> str:
    """`his` for `he`, and so on; `my` when the pronoun is unknown."""
    return _FORMS[pronoun]["possessive"] if pronoun else "my"


def expand(text: str) -> str:
    """`text` without contractions."""
    for pattern, full in _CONTRACTIONS.items():
        text = re.sub(pattern, full, text)
    return text


def points_back(text: str, pronoun: str) -> bool:
    """Whether a text opens with a pronoun that refers to something before it, and not to the character."""
    opening = [word.strip(",.;").lower() for word in text.split()[:4]]
    others = {"he", "she", "it", "they", "them", "him", "this", "these", "those"} - {pronoun}

    # "It" as the first word is the character called "it"; later it may be anything.
    if pronoun == "it" and opening[:1] != ["it"] and "it" in opening:
        return True
    return bool(others & set(opening))


def _literally(name: str) -> str:
    """A pattern for the name as a word of its own, whatever characters it has."""
    return rf"(?<!\w){re.escape(name)}(?!\w)"


def _possessives(text: str, name: str, pronoun: str, whose: str, whom: str) -> str:
    """`text` with the character's possessives replaced by `whose` ("my") and its object forms by `whom`."""

    def cased(m: re.Match[str]) -> str:
        return _cased(whose, m[0])

    text = re.sub(rf"{name}['’](?:s\b|(?!\w))", lambda m: whose if m.start() else whose.capitalize(), text)
    # "its" and "their" are left alone: they are as often about something else.
    if pronoun not in ("he", "she"):
        return text

    # "her" is object and possessive: first the objects that a verb shows, then what precedes a noun.
    forms = _FORMS[pronoun]
    text = re.sub(rf"\b{_TAKES_OBJECT} {forms['object']}\b", rf"\1 {whom}", text)
    before_noun = rf"(?= (?!{_NO_NOUN})\w)"
    text = re.sub(rf"\b{forms['possessive']}\b{before_noun}", cased, text, flags=re.IGNORECASE)

    text = re.sub(r"\bhers\b", "mine" if whose == "my" else "yours", text)
    text = re.sub(rf"\b{forms['object']}\b", whom, text)
    return re.sub(rf"\b{forms['reflexive']}\b", "myself" if whose == "my" else "yourself", text)


def _plain_form(verb: str, pronoun: str) -> str:
    """The first-person form of a verb in the third person: `catches` -> `catch`."""
    # "they are" has the plural verb that "I" does not take.
    if pronoun == "they" and verb in ("are", "were"):
        return {"are": "am", "were": "was"}[verb]
    if verb in _IRREGULAR:
        return _IRREGULAR[verb]

    # Modal verbs, past forms and words like "pass" or "famous" stay.
    if re.fullmatch(_SAME_IN_THIRD, verb) or _NO_S.search(verb) or not verb.endswith("s"):
        return verb
    if verb.endswith("ies") and len(verb) > 4:
        return verb[:-3] + "y"
    return verb[:-2] if re.search(r"(ss|sh|ch|x|zz|o)es$", verb) else verb[:-1]


def _you_form(verb: str, pronoun: str) -> str:
    """The second-person form of a verb in the third person: `is` -> `are`."""
    return {"is": "are", "was": "were"}.get(verb, _plain_form(verb, pronoun))


def _third_form(verb: str) -> str:
    """The third-person form of a verb in the first person: `try` -> `tries`."""
    special = {"am": "is", "have": "has", "do": "does", "don't": "doesn't", "haven't": "hasn't"}
    if verb in special:
        return special[verb]

    # Modal verbs, past forms and contracted negations stay.
    if re.fullmatch(_SAME_IN_THIRD, verb) or verb.endswith(("ed", "n't")):
        return verb
    if re.search(r"[^aeiou]y$", verb):
        return verb[:-1] + "ies"
    return verb + ("es" if re.search(r"(s|sh|ch|x|z|o)$", verb) else "s")


def _agree(text: str) -> str | None:
    """Make further verbs of an "I" sentence agree: `I sit and catches fish` -> `I sit and catch fish`.

    Returns:
        None if one of the words may be a plural noun instead: `I like cats and dogs`.
    """
    is_unsure = False

    def turn(m: re.Match[str]) -> str:
        nonlocal is_unsure
        # A word that a determiner follows is a verb with its object.
        if re.fullmatch(_KNOWN_VERBS, m[3]) or m[4]:
            return f"{m[1]}{m[2]}{_plain_form(m[3], '')}"
        is_unsure = is_unsure or not _NO_S.search(m[3])
        return m[0]

    start = text.index("I") if "I" in text else 0
    head, tail = text[:start], text[start:]
    determiner = "the|a|an|my|that|it|me|them|him|every|each|no"
    joined = rf"\b((?:and|or|but|then),? )((?:{_ADVERB} )*)([a-z]+s)\b(?=( (?:{determiner})\b)?)"
    tail = re.sub(joined, turn, tail)
    return None if is_unsure else head + tail


def _capitalised(text: str) -> str:
    """`text` with a capital at the start of every sentence."""
    return re.sub(rf"{_SENTENCE_START}(\w)", lambda m: m[1] + m[2].upper(), text)


def _cased(word: str, like: str) -> str:
    """`word` with a capital if `like` has one."""
    return word.capitalize() if like[0].isupper() else word
