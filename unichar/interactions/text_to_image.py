"""Portraits: a text and the picture it asks for, in the paper's three forms.

`plain` is a caption, `scene` a moment of conversation, `scene_thinking` the same with its plan. Test portraits ask for the
held-out pictures and, in the toon world, for scenes that no picture shows. In the form `open` they ask for one or two attributes
of a toon's scene, and put a photographed character into an everyday one. Requests without a picture stand alone, so
`Interaction.target` must not be called on them; for toons `attributes` say what a right answer shows.
"""

import random

from unichar.domains.lookup import domain_of
from unichar.interactions import prompts
from unichar.interactions.config import InteractionsConfig
from unichar.interactions.reasoning import plan_of
from unichar.interactions.role_play import picture_group
from unichar.types import CuratedKit, Interaction, Picture, Prompt, Segment


def portraits(kit: CuratedKit, config: InteractionsConfig, rng: random.Random) -> list[Interaction]:
    """All portrait items: of every picture in its split, then the unseen scenes and the open prompts."""
    items, domain = [], domain_of(kit)
    for index, picture in enumerate(kit.pictures):
        train = picture.split == "train"
        count = config.num_plain_portraits if train else 1
        for text in domain.captions(kit, picture, count=count, rng=rng):
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

    unseen = domain.unseen_prompts(kit, count=config.num_unseen_scenes, rng=rng)
    items += [_asked(prompt, "plain", f"unseen-{index:02d}") for index, prompt in enumerate(unseen)]
    left_open = domain.open_prompts(kit, count=config.num_open_prompts, rng=rng)
    return items + [_asked(prompt, "open", f"open-{index:02d}") for index, prompt in enumerate(left_open)]


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


def _asked(prompt: Prompt, form: str, group: str) -> Interaction:
    """A test sample without a picture."""
    return Interaction(
        id="",
        kind="portrait",
        form=form,
        split="test",
        group=group,
        segments=(Segment(type="text", value=prompt.text, role="user"),),
        attributes=prompt.attributes,
    )
