"""Instruction samples: a user asks to see the character in a scene, it agrees and reasons about it.

A kit's ten pictures are too few to learn reasoning from. These samples are not limited in number: the user
names a scene in one of many wordings and the reasoning text repeats it, so what is learned is to draw what
was asked for. Scenes of the test occur in no training sample and in no picture. Only a domain that can
describe new scenes has instruction samples.
"""

from dataclasses import replace

from unichar.domains.lookup import domain_of
from unichar.interactions import prompts
from unichar.interactions.context import Context
from unichar.interactions.phrase_banks import user_texts
from unichar.interactions.wording import fill_slots
from unichar.types import Interaction, Segment


def instructions(context: Context) -> list[Interaction]:
    """Two samples a scene: the reply, and the reply followed by the reasoning text."""
    config = context.config
    total = config.num_instructions + config.num_test_instructions
    scenes = domain_of(context.kit).instruction_scenes(context.kit, context.rng)

    items: list[Interaction] = []
    # `range` stands first in zip, so that no scene is drawn beyond the last one used.
    for index, (phrases, attributes) in zip(range(total), scenes, strict=False):
        reply, reasoning = _samples(context, phrases, attributes, index)
        items += [reply, reasoning]
    return items


def _samples(
    context: Context, phrases: str, attributes: dict[str, str], index: int
) -> tuple[Interaction, Interaction]:
    """(the reply, the reply followed by its reasoning) for a scene given as phrases and as attributes."""
    name = context.kit.name
    user = fill_slots(context.rng.choice(user_texts()["picture"]), scene=phrases, name=name)
    asked = (context.card, Segment(type="text", value=user, role="user"))
    # Without a loss here: in the second sample the reply is what came before.
    reply = Segment(type="text", value=_agreement(context), role="assistant")

    # The reply alone: to answer a wish for a picture is part of talking.
    answered = Interaction(
        id="",
        kind="role_play",
        form="request",
        split="train" if index < context.config.num_instructions else "test",
        group=f"request-{index:02d}",
        segments=(*asked, replace(reply, loss=True)),
        attributes=attributes,
    )

    # The reasoning names the scene in the user's own phrases: that is what is to be learned.
    text = prompts.reasoning_text(f"The picture shall show {name} {phrases}.", f"{name}, {phrases}.")
    more = (
        Segment(type="text", value=prompts.REASONING_REQUEST, role="user"),
        Segment(type="text", value=text, role="assistant", loss=True),
    )
    return answered, replace(answered, kind="thinking", segments=(*asked, reply, *more))


def _agreement(context: Context) -> str:
    """A few words in the character's style that agree to draw any scene."""
    style = context.style
    replies = []
    for phrase in style.replies("picture"):
        reply = style.restyle(phrase)
        if reply:
            replies.append(reply)

    # A character that cannot say any of the phrases in its grammar says its yes.
    if not replies:
        return f"{style.yes}."
    return style.decorate(context.rng.choice(replies), context.rng)
