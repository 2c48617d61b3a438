"""Thinking items: from a moment of conversation to the plan of its picture (thoughts and drawing instruction)."""

from unichar.interactions import prompts
from unichar.interactions.role_play import picture_group
from unichar.types import CuratedKit, Interaction, Picture, Segment


def plan_of(kit: CuratedKit, picture: Picture) -> tuple[str, str]:
    """(thinking, instruction) of a picture: the kit's own, or what its moment and its caption already say."""
    thinking = (
        picture.thinking
        or f"{kit.name} has just said this and the picture shows the moment: {picture.caption}"
    )
    return thinking, picture.instruction or picture.caption


def thinking(kit: CuratedKit) -> list[Interaction]:
    """One item a picture, in the picture's split; only the plan carries the loss."""
    card = prompts.character_card(name=kit.name, description=kit.description, opening=kit.opening)
    items = []
    for index, picture in enumerate(kit.pictures):
        segments = (
            Segment(type="text", value=card, role="system"),
            Segment(type="text", value=picture.user, role="user"),
            Segment(type="text", value=picture.reply, role="assistant"),
            Segment(type="text", value=prompts.PLAN_REQUEST, role="user"),
            Segment(
                type="text", value=prompts.plan_text(*plan_of(kit, picture)), role="assistant", loss=True
            ),
        )
        group = picture_group(index)
        items.append(
            Interaction(
                id="", kind="thinking", form="plan", split=picture.split, group=group, segments=segments
            )
        )
    return items
