"""What a toon is: its identity (who) and its scene (what it does and where).

The vocabulary below is the whole toon world. Renderer, captions, questions, attribute readers and the exact
tests all read it from here, so adding a value means: one word here, one drawing in `draw.py`, one phrase in
`captions.py`.
"""

import dataclasses
import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace

# Identity: what stays the same from picture to picture. The order of values is that of the classifier heads,
# so new values go at the end and need newly trained heads.
SPECIES = ("human", "cat", "dog", "rabbit", "bear", "fox", "frog", "owl", "dragon", "robot")
COLORS = (
    "red",
    "orange",
    "yellow",
    "green",
    "teal",
    "blue",
    "purple",
    "pink",
    "brown",
    "black",
    "white",
    "gray",
)
EYES = ("brown", "green", "blue", "red", "purple")
PATTERNS = ("plain", "striped", "dotted", "starred")
ACCESSORIES = ("nothing", "hat", "crown", "bow", "glasses", "scarf", "headphones")
SKINS = ("light", "tan", "brown", "dark")

# Scene: what differs from picture to picture.
EXPRESSIONS = ("smiling", "sad", "angry", "surprised", "sleepy", "winking", "laughing")
POSES = ("standing", "waving", "cheering", "posing", "jumping")
PROPS = ("nothing", "cup", "book", "flower", "balloon", "fish", "wand", "ball")
BACKGROUNDS = ("studio", "beach", "forest", "city", "snow", "night", "room", "garden")

IDENTITY = {
    "species": SPECIES,
    "color": COLORS,
    "eyes": EYES,
    "outfit": COLORS,
    "pattern": PATTERNS,
    "accessory": ACCESSORIES,
    "skin": SKINS,
}
SCENE = {"expression": EXPRESSIONS, "pose": POSES, "prop": PROPS, "background": BACKGROUNDS}
ATTRIBUTES = IDENTITY | SCENE
"""Attribute name -> its values, in the order every classifier head uses."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who: everything that stays the same from picture to picture.

    Example:
    `Identity(species="cat", color="teal", eyes="purple", outfit="pink", pattern="dotted", accessory="scarf")`
    """

    species: str
    """One of `SPECIES`."""
    color: str
    """Fur, scales, feathers or metal; for a human the hair."""
    eyes: str
    """Iris colour."""
    outfit: str
    """Colour of the clothes."""
    pattern: str
    """Pattern of the clothes."""
    accessory: str
    """What is worn on head, face or neck."""
    skin: str = "light"
    """Skin tone; seen on humans only."""

    def __post_init__(self) -> None:
        _check(self, IDENTITY)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What is going on in one picture.

    Example: `Scene(expression="sad", pose="waving", prop="cup", background="beach")`
    """

    expression: str
    pose: str
    prop: str
    background: str

    def __post_init__(self) -> None:
        _check(self, SCENE)


def _check(record: Identity | Scene, vocabulary: dict[str, tuple[str, ...]]) -> None:
    # Said with the allowed values, since kits are written by hand.
    for name, values in vocabulary.items():
        if getattr(record, name) not in values:
            raise ValueError(f"{name} {getattr(record, name)!r} is not one of: {', '.join(values)}")


def attributes(identity: Identity, scene: Scene) -> dict[str, str]:
    """Everything true of one picture, as attribute name -> value. `skin` is left out where no skin shows."""
    values = dataclasses.asdict(identity) | dataclasses.asdict(scene)

    # Fur, scales and metal cover the skin.
    if identity.species != "human":
        del values["skin"]
    return values


def random_identity(rng: random.Random) -> Identity:
    """A random identity that is not reserved for the starter cast (see `is_reserved`)."""
    # Drawn anew until it is allowed; about one draw in eight is refused.
    while True:
        identity = Identity(**{name: rng.choice(values) for name, values in IDENTITY.items()})

        # Clothes of the body's colour would be hard to tell from it.
        if identity.outfit != identity.color and not is_reserved(identity):
            return identity


def random_scene(rng: random.Random) -> Scene:
    """A uniformly drawn scene."""
    return Scene(**{name: rng.choice(values) for name, values in SCENE.items()})


def part_of(scene: Scene, rng: random.Random) -> dict[str, str]:
    """One or two attributes of a scene, for a prompt that leaves the rest open; never an empty hand."""
    names = [name for name in SCENE if getattr(scene, name) != "nothing"]
    named = rng.sample(names, rng.randint(1, 2))
    return {name: getattr(scene, name) for name in SCENE if name in named}


def filled(asked: Mapping[str, str], rng: random.Random) -> Scene:
    """The scene of a prompt; what it leaves open is drawn at random.

    Hands are empty unless the prompt names a prop, as in the captions of kits.
    """
    # The whole scene is drawn first, so that the number of draws does not depend on what is asked for.
    return replace(random_scene(rng), **{"prop": "nothing", **asked})


def is_reserved(identity: Identity) -> bool:
    """Whether pre-training must never see this identity.

    One identity in twenty, picked by a hash of species, colour and outfit, is kept back. Starter characters
    are chosen among them, so the base can never have met a character (nor its twin with other eyes) before
    its kit arrives.
    """
    # 13 of 256 values of the first byte are one in twenty.
    key = f"{identity.species}/{identity.color}/{identity.outfit}".encode()
    return hashlib.sha256(key).digest()[0] < 13
