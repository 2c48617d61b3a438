"""What the model practises on, and what it is watched on: two sets that share no prompt and no scene."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from unichar.learning.seeds import python_rng
from unichar.records import CuratedKit, Interaction
from unichar.toons.spec import SCENE, Scene, random_scene
from unichar.toons.words import caption


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One prompt with what its pictures are judged against."""

    text: str
    attributes: dict[str, str] = field(default_factory=dict)
    """Toons: the scene the picture must show."""
    reference: str = ""
    """Photographs: the picture of the same scene, inside the curated kit."""


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


def plain_prompts(items: Sequence[Interaction]) -> list[Prompt]:
    """The plain portrait prompts of `items`."""
    portraits = [item for item in items if item.kind == "portrait" and item.form == "plain"]
    return [
        Prompt(text=item.prompt, attributes=item.attributes, reference=item.target.value if item.segments[-1].loss else "")
        for item in portraits
    ]


def scene_of(attributes: dict[str, str]) -> Scene | None:
    """The scene part of a toon's attributes; None for a photograph."""
    return Scene(**{name: attributes[name] for name in SCENE}) if all(name in attributes for name in SCENE) else None
