"""What the model practises on: prompts that share no scene with anything it will be tested on."""

from collections.abc import Sequence

from unichar.judges.prompts import Prompt, plain_prompts
from unichar.learning.seeds import python_rng
from unichar.records import CuratedKit, Interaction
from unichar.toons.spec import SCENE, Scene, random_scene
from unichar.toons.words import caption


def practice_prompts(
    kit: CuratedKit, train: Sequence[Interaction], test: Sequence[Interaction], *, count: int, seed: int
) -> list[Prompt]:
    """`count` prompts to learn from.

    Toons: new scenes, none of them in a test item or a held-out picture. Photographs: the plain training prompts in turn, since
    only their scenes have a picture to compare with.
    """
    if not kit.is_toon_world:
        plain = plain_prompts(train)
        return [plain[i % len(plain)] for i in range(count)]
    rng = python_rng(seed, "practice")
    tested = {scene_of(item.attributes) for item in test if item.kind == "portrait"}
    prompts: list[Prompt] = []
    while len(prompts) < count:
        scene = random_scene(rng)
        if scene not in tested:
            attributes = {name: getattr(scene, name) for name in SCENE}
            prompts.append(Prompt(text=caption(kit.name, scene, rng), attributes=attributes))
    return prompts


def scene_of(attributes: dict[str, str]) -> Scene | None:
    """The scene part of a toon's attributes; None for a photograph."""
    return Scene(**{name: attributes[name] for name in SCENE}) if all(name in attributes for name in SCENE) else None
