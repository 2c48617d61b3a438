"""Toons in words: captions in several wordings, and a question with its answer for every attribute."""

import dataclasses
import random
from collections.abc import Mapping

from unichar.domains.toon.vocabulary import Identity, Scene, attributes

# Phrases of captions by attribute and value. Things that are worn or held have one wording, all else
# two or three, so that the model does not depend on one.
_WORN = {
    "nothing": "",
    "hat": "a top hat",
    "crown": "a golden crown",
    "bow": "a pink bow",
    "glasses": "round glasses",
    "scarf": "a red scarf",
    "headphones": "orange headphones",
}
_PROPS = {
    "cup": "a cup",
    "book": "a book",
    "flower": "a flower",
    "balloon": "a red balloon",
    "fish": "a fish",
    "wand": "a magic wand",
    "ball": "a ball",
}
_POSES: dict[str, tuple[str, ...]] = {
    "standing": ("standing", "standing still", "arms down"),
    "waving": ("waving", "waving hello", "one arm up"),
    "cheering": ("cheering", "both arms up", "arms in the air"),
    "posing": ("hands on hips", "posing", "striking a pose"),
    "jumping": ("jumping", "jumping for joy", "in mid-jump"),
}
_EXPRESSIONS: dict[str, tuple[str, ...]] = {
    "smiling": ("smiling", "with a smile", "looking happy"),
    "sad": ("sad", "looking sad", "with a tear"),
    "angry": ("angry", "looking angry", "gritting its teeth"),
    "surprised": ("surprised", "looking surprised", "wide-eyed"),
    "sleepy": ("sleepy", "eyes closed, sleepy", "falling asleep"),
    "winking": ("winking", "with a wink", "giving a wink"),
    "laughing": ("laughing", "laughing out loud", "with a big laugh"),
}
_BACKGROUNDS: dict[str, tuple[str, ...]] = {
    "studio": ("in front of a plain wall", "in a studio"),
    "beach": ("at the beach", "in front of the sea"),
    "forest": ("in the forest", "in front of fir trees"),
    "city": ("in the city", "in front of skyscrapers"),
    "snow": ("in the snow", "on a snowy hill"),
    "night": ("at night under the stars", "under a night sky"),
    "room": ("in a living room", "at home in a room"),
    "garden": ("in a garden", "in front of a garden fence"),
}
_WORDINGS: dict[str, dict[str, tuple[str, ...]]] = {
    "expression": _EXPRESSIONS,
    "pose": _POSES,
    "background": _BACKGROUNDS,
}
# First and second half of made-up names.
_NAMES_A = ("Bo", "Ka", "Li", "Mo", "Nu", "Pi", "Ro", "Sa", "Ti", "Zu", "Fen", "Gar", "Hal", "Jun", "Vel")
_NAMES_B = ("bi", "do", "ka", "lo", "mi", "na", "rin", "sha", "tu", "va", "zo", "dle", "nix")


def random_name(rng: random.Random) -> str:
    """A made-up name, so that the base learns to draw the scene of somebody it does not know."""
    return rng.choice(_NAMES_A) + rng.choice(_NAMES_B)


def describe(identity: Identity) -> str:
    """`a teal cat with purple eyes in a dotted pink shirt, wearing a red scarf`"""
    # Hair and skin are named for humans only, whose colour is that of the hair.
    if identity.species == "human":
        body = f"a human with {identity.color} hair and {identity.skin} skin,"
    else:
        article = "an" if identity.color[0] in "aeiou" else "a"
        body = f"{article} {identity.color} {identity.species} with"

    # Plain clothes and bare heads are not mentioned.
    pattern = "" if identity.pattern == "plain" else f"{identity.pattern} "
    clothes = f"{body} {identity.eyes} eyes in a {pattern}{identity.outfit} shirt"
    worn = _WORN[identity.accessory]
    return f"{clothes}, wearing {worn}" if worn else clothes


def scene_phrases(scene: Scene | Mapping[str, str], rng: random.Random) -> list[str]:
    """A scene, or the named attributes of one, as phrases: expression, pose, prop (if any), background.

    `rng` draws the wording of each.
    """
    named = dataclasses.asdict(scene) if isinstance(scene, Scene) else scene

    # The order is fixed, so that wordings are drawn in the same order for equal scenes.
    phrases = []
    for name in ("expression", "pose", "prop", "background"):
        value = named.get(name, "nothing")
        if value == "nothing":
            continue

        # Props have one wording, so nothing is drawn for them.
        phrases.append(f"holding {_PROPS[value]}" if name == "prop" else rng.choice(_WORDINGS[name][value]))
    return phrases


def caption(who: str, scene: Scene | Mapping[str, str], rng: random.Random) -> str:
    """An exact caption in one of several wordings.

    Args:
        who: A name, or the text of `describe`.
        scene: All of it, or the attributes that are asked for.
        rng: Picks the wording; the content is always the same.
    """
    phrases = ", ".join(scene_phrases(scene, rng))

    # Four forms, among them commands: a user may ask in any of them.
    form = rng.randrange(4)
    if form == 0:
        return f"A picture of {who}, {phrases}."
    if form == 1:
        return f"{who[0].upper()}{who[1:]}, {phrases}."
    if form == 2:
        return f"Draw {who}: {phrases}."
    return f"A cartoon of {who}, {phrases}"


# Attribute -> wordings of the question; the answer is always one word of the vocabulary.
_QUESTIONS = {
    "species": (
        "What kind of creature is this?",
        "Which species do you see?",
        "Who is in the picture, what kind of being?",
    ),
    "color": (
        "What is its main color?",
        "Which color is its fur, hair or body?",
        "What color is the character itself?",
    ),
    "eyes": ("What color are the eyes?", "Which eye color does it have?"),
    "outfit": ("What color is the shirt?", "Which color are its clothes?"),
    "pattern": ("What pattern is on the shirt?", "Are the clothes plain, striped, dotted or starred?"),
    "accessory": ("What is it wearing besides the shirt?", "Which accessory does it wear?"),
    "skin": ("What skin tone does it have?", "Is the skin light, tan, brown or dark?"),
    "expression": ("How does it look or feel?", "What is the expression?", "What face is it making?"),
    "pose": ("What is its pose?", "What is it doing with its body?"),
    "prop": ("What is it holding?", "What is in its hand?"),
    "background": ("Where is it?", "What is the background?", "What place is this?"),
}


def visible(identity: Identity, scene: Scene) -> dict[str, str]:
    """The attributes one can really see: closed eyes have no colour, fur hides the skin."""
    seen = attributes(identity, scene)

    # These two expressions are drawn with closed eyes.
    if scene.expression in ("sleepy", "laughing"):
        del seen["eyes"]
    return seen


def questions(identity: Identity, scene: Scene, rng: random.Random) -> list[tuple[str, str, str]]:
    """(attribute, question, one-word answer) for every visible attribute, wordings drawn by `rng`."""
    return [(name, rng.choice(_QUESTIONS[name]), value) for name, value in visible(identity, scene).items()]
