"""What the model practises on and what it is watched on: prompts that share no scene with each other or with any test."""

import random
from collections.abc import Sequence

from unichar.judges.prompts import Prompt, plain_prompts
from unichar.learning.seeds import python_rng
from unichar.records import CuratedKit, Interaction
from unichar.toons.spec import SCENE, Scene, random_scene
from unichar.toons.words import caption


def watch_prompts(
    kit: CuratedKit, train: Sequence[Interaction], test: Sequence[Interaction], *, count: int, seed: int
) -> list[Prompt]:
    """Up to `count` prompts to watch learning with; reports never ask for them, so choosing a checkpoint by them is no cheating.

    Toons: new scenes, none of them in a test item. Photographs: the training prompts of every fifth picture, which is kept
    from practice, since only scenes with a picture can be judged; SFT has learned them all the same.
    """
    if kit.is_toon_world:
        rng = python_rng(seed, "watch")
        return _new_scenes(kit.name, rng, count, taken=_tested(test), distinct=True)
    plain = plain_prompts(train)
    kept_back = sorted({prompt.reference for prompt in plain})[::5]
    return [prompt for prompt in plain if prompt.reference in kept_back][:count]


def practice_prompts(
    kit: CuratedKit,
    train: Sequence[Interaction],
    test: Sequence[Interaction],
    *,
    watched: Sequence[Prompt],
    count: int,
    seed: int,
) -> list[Prompt]:
    """`count` prompts to learn from.

    Toons: new scenes, none of them in a test item, a held-out picture or `watched`. Photographs: the plain training prompts in
    turn, but for those of watched pictures.
    """
    if kit.is_toon_world:
        taken = _tested(test) | {scene_of(prompt.attributes) for prompt in watched}
        return _new_scenes(kit.name, python_rng(seed, "practice"), count, taken=taken, distinct=False)
    watched_pictures = {prompt.reference for prompt in watched}
    plain = [prompt for prompt in plain_prompts(train) if prompt.reference not in watched_pictures]
    return [plain[i % len(plain)] for i in range(count)]


def _tested(test: Sequence[Interaction]) -> set[Scene | None]:
    return {scene_of(item.attributes) for item in test}


def _new_scenes(name: str, rng: random.Random, count: int, *, taken: set[Scene | None], distinct: bool) -> list[Prompt]:
    """`count` prompts for scenes outside of `taken`; `distinct` asks for each scene once."""
    prompts: list[Prompt] = []
    while len(prompts) < count:
        scene = random_scene(rng)
        if scene not in taken:
            attributes = {field: getattr(scene, field) for field in SCENE}
            prompts.append(Prompt(text=caption(name, scene, rng), attributes=attributes))
            if distinct:
                taken = {*taken, scene}
    return prompts


def scene_of(attributes: dict[str, str]) -> Scene | None:
    """The scene part of a toon's attributes; None for a photograph."""
    return Scene(**{name: attributes[name] for name in SCENE}) if all(name in attributes for name in SCENE) else None
