"""What the model practises on and what it is watched on: prompts that ask for nothing a test asks for, nor for the same thing.

Three of four prompts for a toon leave something open, as people's do: a model that has learned ten pictures by heart shows it
there, by drawing the same things around what was asked for. A full caption leaves nothing to vary. For the same reason half of
the prompts for a character of photographs are scenes that none of its pictures shows.
"""

import random
from collections.abc import Sequence

from unichar.domains.scenes import everyday
from unichar.domains.toon.captions import caption
from unichar.domains.toon.vocabulary import SCENE, part_of, random_scene
from unichar.judges.prompts import Prompt, plain_prompts
from unichar.training.seeds import python_rng
from unichar.types import CuratedKit, Interaction


def validation_prompts(
    kit: CuratedKit, train: Sequence[Interaction], test: Sequence[Interaction], *, count: int, seed: int
) -> list[Prompt]:
    """Up to `count` prompts to watch learning with; reports never ask for them, so choosing a checkpoint by them is no cheating.

    Toons: new scenes and parts of scenes, none of them in a test item. Photographs: new scenes as well, and the training
    prompts of every fifth picture, which is kept from practice; SFT has learned them all the same.
    """
    if kit.is_toon_world:
        rng = python_rng(seed, "watch")
        return _new_prompts(kit.name, rng, count, taken=_tested(test), distinct=True)
    plain = plain_prompts(train)
    kept_back = sorted({prompt.reference for prompt in plain})[::5]
    known = [prompt for prompt in plain if prompt.reference in kept_back]
    new = _elsewhere(kit.name, python_rng(seed, "watch"), count // 2, taken=_asked(test))
    return _in_turn(known[: (count + 1) // 2], new)


def training_prompts(
    kit: CuratedKit,
    train: Sequence[Interaction],
    test: Sequence[Interaction],
    *,
    watched: Sequence[Prompt],
    count: int,
    seed: int,
) -> list[Prompt]:
    """`count` prompts to learn from.

    Toons: new scenes and parts of scenes, none of them in a test item, a held-out picture or `watched`. Photographs: new scenes
    likewise, and the plain training prompts in turn, but for those of watched pictures.
    """
    if kit.is_toon_world:
        taken = _tested(test) | {wanted(prompt.attributes) for prompt in watched}
        return _new_prompts(kit.name, python_rng(seed, "practice"), count, taken=taken, distinct=False)
    watched_pictures = {prompt.reference for prompt in watched}
    plain = [prompt for prompt in plain_prompts(train) if prompt.reference not in watched_pictures]
    known = [plain[i % len(plain)] for i in range((count + 1) // 2)]
    asked = _asked(test) | {prompt.text for prompt in watched}
    return _in_turn(known, _elsewhere(kit.name, python_rng(seed, "practice"), count // 2, taken=asked))


def wanted(attributes: dict[str, str]) -> frozenset[tuple[str, str]]:
    """What attributes ask for of a scene; nothing for a photograph."""
    return frozenset((name, value) for name, value in attributes.items() if name in SCENE)


def _tested(test: Sequence[Interaction]) -> set[frozenset[tuple[str, str]]]:
    return {wanted(item.attributes) for item in test}


def _new_prompts(
    name: str, rng: random.Random, count: int, *, taken: set[frozenset[tuple[str, str]]], distinct: bool
) -> list[Prompt]:
    """`count` prompts outside of `taken`, a full one and three open ones in turn; `distinct` asks for each thing once."""
    prompts: list[Prompt] = []
    while len(prompts) < count:
        scene = random_scene(rng)
        attributes = (
            {field: getattr(scene, field) for field in SCENE}
            if len(prompts) % 4 == 0
            else part_of(scene, rng)
        )
        if wanted(attributes) not in taken:
            prompts.append(Prompt(text=caption(name, attributes, rng), attributes=attributes))
            if distinct:
                taken = {*taken, wanted(attributes)}
    return prompts


def _asked(test: Sequence[Interaction]) -> set[str]:
    return {item.prompt for item in test}


def _elsewhere(name: str, rng: random.Random, count: int, *, taken: set[str]) -> list[Prompt]:
    """`count` scenes without a picture. Who is in the picture, how natural it is and whether it repeats another can be judged;
    whether it shows the scene, by networks that read (`unichar/judges/clip.py`) only."""
    free = [scene for scene in everyday(name, rng) if scene not in taken]
    return [Prompt(text=free[i % len(free)]) for i in range(count)]


def _in_turn(first: list[Prompt], second: list[Prompt]) -> list[Prompt]:
    """Every other one of each, the longer one's rest at the end."""
    pairs = [prompt for pair in zip(first, second, strict=False) for prompt in pair]
    shorter = min(len(first), len(second))
    return pairs + first[shorter:] + second[shorter:]
