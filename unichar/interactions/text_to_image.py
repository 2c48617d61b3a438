"""Text-to-image samples: a prompt and the picture it asks for, in the paper's three forms.

`plain` is a caption, `scene` a multimodal turn, `scene_thinking` the same with its reasoning text. The test
asks for the held-out pictures, for scenes that no picture shows where the domain can judge them, and in the
form `open` for prompts that leave part of the scene to the model. Test prompts without a picture have one
segment, so `Interaction.target` must not be read on them; where the domain reads attributes, `attributes` say
what a right picture shows.
"""

from unichar.domains.base import Domain
from unichar.domains.lookup import domain_of
from unichar.interactions import prompts
from unichar.interactions.context import Context
from unichar.interactions.reasoning import reasoning_of
from unichar.interactions.role_play import picture_group
from unichar.types import CuratedKit, Interaction, Picture, Prompt, Segment


def text_to_image(context: Context) -> list[Interaction]:
    """All text-to-image samples: of every picture in its split, then of unseen scenes and of open prompts."""
    kit, config = context.kit, context.config
    domain = domain_of(kit)

    items = []
    for index, picture in enumerate(kit.pictures):
        items += _of_picture(context, domain, picture, index)

    # What follows has no picture: it tests whether the model draws what nobody has shown it.
    unseen = domain.unseen_prompts(kit, count=config.num_unseen_scenes, rng=context.rng)
    items += [_without_picture(prompt, "plain", f"unseen-{index:02d}") for index, prompt in enumerate(unseen)]

    left_open = domain.open_prompts(kit, count=config.num_open_prompts, rng=context.rng)
    items += [_without_picture(prompt, "open", f"open-{index:02d}") for index, prompt in enumerate(left_open)]
    return items


def _of_picture(context: Context, domain: Domain, picture: Picture, index: int) -> list[Interaction]:
    """The samples of one picture: its captions, then the two scene forms as often as the settings say."""
    kit, config = context.kit, context.config
    is_train = picture.split == "train"

    # Several wordings teach the scene and not the sentence; the test needs one.
    count = config.num_plain_captions if is_train else 1
    captions = domain.captions(kit, picture, count=count, rng=context.rng)
    items = [_item(picture, index, "plain", caption) for caption in captions]

    # The two forms that the paper's pipeline uses: after the reply, and after the reasoning.
    scene, scene_thinking = _scene_prompts(kit, picture)
    # The scene forms have one wording, so more weight in training means repeating them.
    for _ in range(config.num_scene_repeats if is_train else 1):
        items.append(_item(picture, index, "scene", scene))
        items.append(_item(picture, index, "scene_thinking", scene_thinking))
    return items


def _scene_prompts(kit: CuratedKit, picture: Picture) -> tuple[str, str]:
    """The prompts of a picture's multimodal turn: (without, with) the reasoning text."""
    # What both prompts have in common.
    turn = {"name": kit.name, "description": kit.description, "user": picture.user, "reply": picture.reply}
    thinking, instruction = reasoning_of(kit, picture)
    with_reasoning = prompts.scene_prompt(**turn, thinking=thinking, instruction=instruction)
    return prompts.scene_prompt(**turn), with_reasoning


def _item(picture: Picture, index: int, form: str, text: str) -> Interaction:
    # The picture carries the loss: it is what the prompt asks for.
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


def _without_picture(prompt: Prompt, form: str, group: str) -> Interaction:
    """A test sample of a prompt that no picture of the kit answers."""
    # Without a target there is nothing to train on; attributes say what to judge by.
    segments = (Segment(type="text", value=prompt.text, role="user"),)

    return Interaction(
        id="",
        kind="portrait",
        form=form,
        split="test",
        group=group,
        segments=segments,
        attributes=prompt.attributes,
    )
