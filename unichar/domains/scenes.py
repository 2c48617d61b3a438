"""Scenes in plain words for pictures that no kit shows: of a character, or of anybody."""

import random

from unichar.domains.toon.captions import caption, describe
from unichar.domains.toon.vocabulary import random_identity, random_scene

# Eight poses times sixteen places are the 128 scenes of `everyday`. The order of values is part of the data:
# draws are by position.
_POSES = (
    "standing",
    "sitting",
    "lying",
    "running",
    "asleep",
    "looking back",
    "looking up",
    "seen from the side",
)
_BACKGROUNDS = (
    "on a beach",
    "in a forest",
    "in deep snow",
    "in a kitchen",
    "on a bridge",
    "in a city street at night",
    "in a library",
    "on a train",
    "by a lake",
    "in a garden",
    "on a rooftop",
    "in a field of flowers",
    "by a fireplace",
    "on a staircase",
    "in a boat",
    "under a tree in the rain",
)
# Persons and animals for prior preservation, in words that any base model knows.
_OTHERS = (
    "an old man",
    "a young woman",
    "a child in a yellow coat",
    "a tall man with a beard",
    "a woman with grey hair",
    "a brown dog",
    "a black cat",
    "a white horse",
)


def everyday(who: str, rng: random.Random) -> list[str]:
    """All 128 scenes with `who` in them, shuffled: `Bo asleep by a fireplace.`

    They fit persons, animals and figures alike.
    """
    # A part of these is for tests, the rest for training and validation; see the callers.
    scenes = [f"{who} {pose} {background}." for pose in _POSES for background in _BACKGROUNDS]
    rng.shuffle(scenes)
    return scenes


def prior_prompts(count: int, rng: random.Random) -> list[str]:
    """Prompts of random characters for prior preservation: cartoons and photographs in turn.

    For images that the base samples itself, so that whatever it can draw is preserved.
    """
    # All cartoons are drawn first, although every other one is replaced: the order of draws fixes the data.
    prompts = [caption(describe(random_identity(rng)), random_scene(rng), rng) for _ in range(count)]

    for index in range(1, count, 2):
        prompts[index] = _photograph(rng)
    return prompts


def _photograph(rng: random.Random) -> str:
    """`A photograph of an old man sitting on a train.`"""
    return f"A photograph of {rng.choice(_OTHERS)} {rng.choice(_POSES)} {rng.choice(_BACKGROUNDS)}."
