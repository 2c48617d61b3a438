"""Reasoning samples: from a multimodal turn to the thoughts and the drawing instruction for its picture."""

from unichar.interactions import prompts
from unichar.interactions.context import Context
from unichar.interactions.role_play import picture_group
from unichar.types import CuratedKit, Interaction, Picture, Segment


def reasoning(context: Context) -> list[Interaction]:
    """One sample a picture, in the picture's split; only the reasoning text carries the loss."""
    kit = context.kit
    items = []
    for index, picture in enumerate(kit.pictures):
        # The target: thoughts and instruction of the kit's author, or composed ones.
        answer = prompts.reasoning_text(*reasoning_of(kit, picture))

        # The same conversation as at inference, where the request follows the character's own reply.
        segments = (
            context.card,
            Segment(type="text", value=picture.user, role="user"),
            Segment(type="text", value=picture.reply, role="assistant"),
            Segment(type="text", value=prompts.REASONING_REQUEST, role="user"),
            Segment(type="text", value=answer, role="assistant", loss=True),
        )

        # The picture's own group: its texts and prompts must not be split between training and test.
        item = Interaction(
            id="",
            kind="thinking",
            form="plan",
            split=picture.split,
            group=picture_group(index),
            segments=segments,
        )
        items.append(item)
    return items


def reasoning_of(kit: CuratedKit, picture: Picture) -> tuple[str, str]:
    """(thinking, instruction) of a picture: the kit's own, else composed from its caption."""
    composed = f"{kit.name} has just said this and the picture shows the moment: {picture.caption}"
    return picture.thinking or composed, picture.instruction or picture.caption
