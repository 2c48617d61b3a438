"""Scenes in plain words that anybody can be in, person, animal or figure: for pictures that no kit shows."""

import random

_DOING = (
    "standing",
    "sitting",
    "lying",
    "running",
    "asleep",
    "looking back",
    "looking up",
    "seen from the side",
)
_PLACES = (
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
_SOMEBODY = (
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
    """All scenes with `who` in them, shuffled: `Bo asleep by a fireplace.`"""
    scenes = [f"{who} {doing} {place}." for doing in _DOING for place in _PLACES]
    rng.shuffle(scenes)
    return scenes


def photograph_of_somebody(rng: random.Random) -> str:
    """`A photograph of an old man sitting on a train.`"""
    return f"A photograph of {rng.choice(_SOMEBODY)} {rng.choice(_DOING)} {rng.choice(_PLACES)}."
