"""Drawn worlds in words: captions and questions from a picture's facts.

    caption(facts, rng)          # "A flat cartoon of a person with red curly hair, laughing, in the forest."
    questions(facts, rng)        # [("mood", "How does the character feel?", "laughing"), ...]

Facts are those of `unichar.pretrain.worlds.world`. Wordings are drawn by `rng`; what a caption says is always
true, but it need not say everything.
"""

import random
from typing import Any

from unichar.domains.toon.captions import random_name
from unichar.pretrain.worlds.art import words_of
from unichar.pretrain.worlds.scenery import places
from unichar.pretrain.worlds.styles import load_styles

_MOODS = {
    "smiling": ("smiling", "with a smile", "looking happy"),
    "laughing": ("laughing", "laughing out loud", "with a big laugh"),
    "sad": ("sad", "looking sad", "with a sad face"),
    "crying": ("crying", "in tears", "with a tear"),
    "angry": ("angry", "looking angry", "with an angry face"),
    "frowning": ("frowning", "looking cross", "angry"),
    "surprised": ("surprised", "looking surprised", "wide-eyed"),
    "sleepy": ("sleepy", "with closed eyes", "looking sleepy"),
    "winking": ("winking", "with a wink", "giving a wink"),
    "calm": ("calm", "with a calm face", "looking serious"),
    "smirking": ("smirking", "with a smirk", "looking cheeky"),
    "sticking its tongue out": ("tongue out", "with the tongue out", "sticking the tongue out"),
    "in love": ("in love", "with hearts for eyes", "looking in love"),
    "starstruck": ("starstruck", "with stars for eyes", "thrilled"),
    "blowing a kiss": ("blowing a kiss", "with kissing lips"),
    "dizzy": ("dizzy", "looking dizzy"),
    "nervous": ("nervous", "looking nervous", "with gritted teeth"),
    "suspicious": ("suspicious", "looking suspicious"),
}
"""Mood -> wordings. A style's own words for whole expressions are used as they are."""
_EYES = {
    "open": "open eyes",
    "closed": "closed eyes",
    "tears": "tears in the eyes",
    "rolling": "rolling eyes",
    "happy": "happy eyes",
    "hearts": "heart eyes",
    "stars": "star eyes",
    "side": "eyes to the side",
    "squint": "squinting eyes",
    "wide": "wide eyes",
    "wink": "one eye closed",
    "dizzy": "dizzy eyes",
    "angry": "angry eyes",
    "sad": "sad eyes",
    "sleepy": "sleepy eyes",
    "confused": "confused eyes",
    "shades": "dark glasses",
    "glasses": "glasses",
    "eyepatch": "an eyepatch",
    "odd": "odd eyes",
    "sick": "sick eyes",
}
_MOUTHS = {
    "smile": "a smile",
    "laugh": "an open laugh",
    "sad": "a frown",
    "flat": "a straight mouth",
    "open": "an open mouth",
    "teeth": "clenched teeth",
    "tongue": "the tongue out",
    "smirk": "a smirk",
    "kiss": "kissing lips",
    "cat": "a cat's mouth",
    "wavy": "a wavy mouth",
    "lips": "full lips",
    "chewing": "a full mouth",
    "pacifier": "a pacifier",
    "mask": "a face mask",
    "fangs": "fangs",
    "angry": "an angry mouth",
}
_WEATHER = {
    "rain": ("in the rain", "on a rainy day"),
    "snow": ("while it snows", "in falling snow"),
    "sunshine": ("in the sunshine", "on a sunny day"),
    "fog": ("in the fog", "on a foggy day"),
    "a rainbow": ("under a rainbow", "with a rainbow behind"),
}
_KINDS = {
    "person": "person",
    "robot": "robot",
    "creature": "creature",
    "plant": "potted plant",
    "face": "face",
}


def caption(facts: dict[str, Any], rng: random.Random, *, named: bool = False) -> str:
    """A caption in one of several wordings.

    `named` calls a figure by a made-up name instead of describing it; the scene is followed all the same.
    """
    if facts["subject"] == "things":
        return _frame(_things(facts), _where(facts, rng), rng)

    style = load_styles()[facts["style"]]
    who = random_name(rng) if named else describe(facts, rng)
    phrases = scene_phrases(facts, rng)
    look = rng.choice(style.look)
    if facts.get("treatment"):
        look = f"{facts['treatment']} {look}"

    # The style is named in half of the captions of described figures, and seldom beside a name.
    if rng.random() < (0.2 if named else 0.5):
        article = _article(look)
        if rng.random() < 0.5:
            return _sentence(f"{article} {look} of {who}", phrases)
        return _sentence(who, [*phrases, f"{article} {look}"])
    return _frame(who, phrases, rng)


def describe(facts: dict[str, Any], rng: random.Random) -> str:
    """`a person with red curly hair, tan skin, glasses and a blue hoodie`: who, without the scene."""
    style = load_styles()[facts["style"]]
    gray = facts.get("treatment") == "black and white"
    colors = {word: "" if gray else facts["colors"][name] for name, (_, word) in style.colors.items() if word}
    parts = {name: style.parts[name][variant] for name, variant in facts["variants"].items()}
    phrases = {name: phrase for name, phrase in parts.items() if phrase}

    # Some of what could be said is left out, so that short captions are learned too.
    features = [_hair(phrases, colors), _clothes(phrases, colors)]
    features += [f"{colors[word]} {word}" for word in _COLORED if colors.get(word)]
    features += phrases.values()
    said = [feature for feature in features if feature and rng.random() < 0.85]

    main = next((colors[word] for word in _MAIN if colors.get(word)), "")
    who = f"{main} {_KINDS[style.kind]}".strip()
    text = f"{_article(who)} {who}"
    return f"{text} with {_and(said)}" if said else text


_MAIN = ("metal", "color", "clay", "body", "paper")
"""Words of colours that are those of the whole figure."""
_COLORED = ("skin", "paper face", "pot", "leaves", "glow", "light")
"""Words of colours that belong to a part with no words of its own."""
_HEADWEAR = ("hat", "hijab", "turban", "cap", "beret", "headband", "bear")


def _hair(phrases: dict[str, str], colors: dict[str, str]) -> str:
    """The hair with its colour, taken out of `phrases`; empty if there is nothing to say."""
    color = colors.get("hair", "")
    place = next((name for name in ("hair", "top", "head", "tops") if name in phrases), "")
    phrase = phrases.get(place, "")
    if "bald" in phrase or any(word in phrase.split() for word in _HEADWEAR) or not color:
        return ""

    # "curly hair" gets the colour; "braids" stay beside "red hair".
    if "hair" not in phrase.split():
        return f"{color} hair"
    del phrases[place]
    return phrase.replace("hair", f"{color} hair", 1)


def _clothes(phrases: dict[str, str], colors: dict[str, str]) -> str:
    """The clothes with their colour, taken out of `phrases`; empty if there is nothing to say."""
    color = colors.get("clothes") or colors.get("shirt") or ""
    place = next((name for name in ("clothes", "outfit", "body") if name in phrases), "")
    if not place:
        return f"{color} clothes" if color else ""
    if place == "body" and not color:
        return ""

    phrase = phrases.pop(place).removeprefix("a ").removeprefix("an ")
    colored = f"{color} {phrase}".strip()
    plural = phrase.endswith(("clothes", "overalls", "straps"))
    return colored if plural else f"{_article(colored)} {colored}"


def scene_phrases(facts: dict[str, Any], rng: random.Random) -> list[str]:
    """Expression, prop, place or wall, weather, and now and then position and size."""
    phrases = [expression_phrase(facts, rng)]
    if facts.get("prop"):
        phrases.append(_prop(facts, rng))
    phrases += _where(facts, rng)

    # Seldom said, as people seldom do.
    if facts.get("position", "center") != "center" and rng.random() < 0.4:
        phrases.append(f"on the {facts['position']}")
    if facts.get("size") == "close" and rng.random() < 0.6:
        phrases.append(rng.choice(("close up", "very close")))
    if facts.get("size") == "small" and rng.random() < 0.6:
        phrases.append(rng.choice(("seen from afar", "small in the picture")))
    return [phrase for phrase in phrases if phrase]


def expression_phrase(facts: dict[str, Any], rng: random.Random) -> str:
    """The mood in one of its wordings; without a mood, eyes and mouth one by one."""
    mood, labels = facts["mood"], facts["labels"]
    if mood:
        return rng.choice(_MOODS.get(mood, (mood,)))
    said = [_EYES.get(labels.get("eyes", ""), ""), _MOUTHS.get(labels.get("mouth", ""), "")]
    said = [text for text in said if text]
    return f"with {_and(said)}" if said else ""


def _prop(facts: dict[str, Any], rng: random.Random) -> str:
    thing = words_of(facts["prop"])
    named = f"{_article(thing)} {thing}" if not thing.endswith("s") else thing
    if rng.random() < 0.3:
        return f"{named} on the {facts['prop_side']}"
    return rng.choice((f"with {named}", f"beside {named}", f"next to {named}"))


def _where(facts: dict[str, Any], rng: random.Random) -> list[str]:
    """Place or wall, and weather."""
    said = []
    if facts.get("place"):
        said.append(rng.choice(places()[facts["place"]].say))
    elif facts.get("wall"):
        color = facts["wall"]
        wordings = (f"in front of a {color} wall", f"on a {color} background", f"{color} background")
        said.append(rng.choice(wordings).replace("a orange", "an orange"))
    if facts.get("weather"):
        said.append(rng.choice(_WEATHER[facts["weather"]]))
    return said


def _things(facts: dict[str, Any]) -> str:
    names = []
    for name in facts["things"]:
        thing = words_of(name)
        names.append(thing if thing.endswith("s") else f"{_article(thing)} {thing}")
    return _and(names)


def _frame(who: str, phrases: list[str], rng: random.Random) -> str:
    """One of the forms in which people ask for a picture."""
    form = rng.randrange(4)
    if form == 0:
        return _sentence(f"a picture of {who}", phrases)
    if form == 1:
        return _sentence(who, phrases)
    if form == 2 and phrases:
        return f"Draw {who}: {', '.join(phrases)}."
    return ", ".join([who, *phrases])


def _sentence(who: str, phrases: list[str]) -> str:
    text = ", ".join([who, *phrases])
    return f"{text[0].upper()}{text[1:]}."


def _article(words: str) -> str:
    return "an" if words[:1].lower() in "aeiou8" else "a"


def _and(words: list[str]) -> str:
    """`a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


_ASKED = {
    "mood": ("How does the character feel?", "What is the expression?", "Which mood is shown?"),
    "place": ("Where is this?", "What place is shown?", "Where is the character?"),
    "wall": ("What color is the background?", "Which color is the wall?"),
    "weather": ("What is the weather like?", "How is the weather?"),
    "prop": ("What is beside the character?", "Which thing is in the picture?"),
    "position": ("Where in the picture is the character?", "On which side is the character?"),
    "style": ("In which style is this drawn?", "What kind of drawing is this?"),
    "hair": ("What color is the hair?", "Which hair color does the character have?"),
    "skin": ("What is the skin tone?",),
    "clothes": ("What color are the clothes?", "Which color does the character wear?"),
    "kind": ("What is shown?", "What kind of figure is this?"),
}


def questions(facts: dict[str, Any], rng: random.Random) -> list[tuple[str, str, str]]:
    """(what is asked for, question, short answer) for everything that can be asked about the picture."""
    if facts["subject"] == "things":
        answers = {"wall": facts["wall"], "place": facts["place"], "prop": words_of(facts["things"][0])}
        return [(name, rng.choice(_ASKED[name]), answer) for name, answer in answers.items() if answer]

    style = load_styles()[facts["style"]]
    answers = {"mood": facts["mood"], "style": style.look[0], "kind": _KINDS[style.kind]}
    for name in ("place", "wall", "weather", "position"):
        answers[name] = facts.get(name, "")
    if facts.get("prop"):
        answers["prop"] = words_of(facts["prop"])

    # A black and white figure has no colours to ask for.
    if facts.get("treatment") != "black and white":
        for color, (_, word) in style.colors.items():
            if word in ("hair", "skin", "clothes"):
                answers[word] = facts["colors"][color]
    return [(name, rng.choice(_ASKED[name]), answer) for name, answer in answers.items() if answer]
