"""Portraits: a text and the picture it asks for, in the paper's three forms.

`plain` is a caption, `scene` a moment of conversation, `scene_thinking` the same with its plan. Test portraits ask for the
held-out pictures and, in the toon world, for scenes that no picture shows. In the form `open` they ask for one or two attributes
of a toon's scene, and put a photographed character into an everyday one. Requests without a picture stand alone, so
`Interaction.target` must not be called on them; for toons `attributes` say what a right answer shows.
"""

import random
from collections.abc import Iterator
from dataclasses import replace

from unichar.domains.scenes import everyday
from unichar.domains.toon.captions import caption
from unichar.domains.toon.vocabulary import IDENTITY, SCENE, Scene, part_of, random_scene
from unichar.interactions import prompts
from unichar.interactions.config import InteractionsConfig
from unichar.interactions.reasoning import plan_of
from unichar.interactions.role_play import picture_group
from unichar.types import CuratedKit, Interaction, Picture, Segment

_TRIES = 60
_MOST_EVERYDAY = 64
"""Scenes that a test may take; as many are left to practise and to watch."""


def portraits(kit: CuratedKit, config: InteractionsConfig, rng: random.Random) -> list[Interaction]:
    """All portrait items: of every picture in its split, then the unseen scenes and the open prompts."""
    items = []
    for index, picture in enumerate(kit.pictures):
        train = picture.split == "train"
        for text in plain_captions(kit, picture, config.num_plain_portraits if train else 1, rng):
            items.append(_portrait(picture, index, "plain", text))
        thinking, instruction = plan_of(kit, picture)
        scene = {
            "name": kit.name,
            "description": kit.description,
            "user": picture.user,
            "reply": picture.reply,
        }
        for _ in range(config.num_scene_portraits if train else 1):
            items.append(_portrait(picture, index, "scene", prompts.portrait_request(**scene)))
            planned = prompts.portrait_request(**scene, thinking=thinking, instruction=instruction)
            items.append(_portrait(picture, index, "scene_thinking", planned))
    if kit.is_toon_world:
        return [
            *items,
            *_unseen(kit, config.num_unseen_scenes, rng),
            *_open(kit, config.num_open_prompts, rng),
        ]
    scenes = everyday(kit.name, rng)[: min(config.num_open_prompts, _MOST_EVERYDAY)]
    return items + [_asked(scene, "open", f"open-{index:02d}") for index, scene in enumerate(scenes)]


def plain_captions(kit: CuratedKit, picture: Picture, number: int, rng: random.Random) -> list[str]:
    """Up to `number` different captions of a picture, the kit's own first.

    A toon's further captions are exact wordings of its attributes; any other picture's say the same words in another frame.
    """
    found = {picture.caption: None}
    if "species" in picture.attributes:
        scene = scene_of(picture)
        for _ in range(_TRIES):
            if len(found) < number:
                found[caption(kit.name, scene, rng)] = None
    else:
        named = picture.caption.startswith(kit.name)
        frames = ("A picture of {}", "Draw {}", "Show {}", "A portrait of {}") if named else _FRAMES
        found |= dict.fromkeys(frame.format(picture.caption) for frame in frames)
    return list(found)[:number]


_FRAMES = ("A picture of this moment: {}", "Draw this: {}", "Show this scene: {}", "A portrait like this: {}")


def scene_of(picture: Picture) -> Scene:
    """The toon scene of a picture's attributes."""
    return Scene(**{name: picture.attributes[name] for name in SCENE})


def _portrait(picture: Picture, index: int, form: str, text: str) -> Interaction:
    segments = (
        Segment(type="text", value=text, role="user"),
        Segment(type="image", value=picture.image, role="assistant", loss=True),
    )
    return Interaction(
        id="",
        kind="portrait",
        form=form,
        split=picture.split,
        group=picture_group(index),
        segments=segments,
        attributes=dict(picture.attributes),
    )


def _unseen(kit: CuratedKit, number: int, rng: random.Random) -> Iterator[Interaction]:
    """Plain test captions of random scenes that occur in no picture of the kit, each once."""
    taken = {scene_of(picture) for picture in kit.pictures}
    for index in range(number):
        scene = random_scene(rng)
        while scene in taken:
            scene = random_scene(rng)
        taken.add(scene)
        yield _captioned(
            kit, "plain", f"unseen-{index:02d}", {name: getattr(scene, name) for name in SCENE}, rng
        )


def _open(kit: CuratedKit, number: int, rng: random.Random) -> Iterator[Interaction]:
    """Test captions of one or two attributes, no two alike: what the model makes of the rest shows whether it repeats itself."""
    taken: list[dict[str, str]] = []
    for index in range(number):
        part = part_of(random_scene(rng), rng)
        while part in taken:
            part = part_of(random_scene(rng), rng)
        taken.append(part)
        yield _captioned(kit, "open", f"open-{index:02d}", part, rng)


def _captioned(
    kit: CuratedKit, form: str, group: str, wanted: dict[str, str], rng: random.Random
) -> Interaction:
    identity = {name: value for name, value in kit.pictures[0].attributes.items() if name in IDENTITY}
    return replace(_asked(caption(kit.name, wanted, rng), form, group), attributes=identity | wanted)


def _asked(text: str, form: str, group: str) -> Interaction:
    """A test request without a picture."""
    segment = Segment(type="text", value=text, role="user")
    return Interaction(id="", kind="portrait", form=form, split="test", group=group, segments=(segment,))
