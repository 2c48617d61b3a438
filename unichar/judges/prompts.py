"""Text-to-image prompts of interactions, each with what its pictures are judged against."""

from collections.abc import Sequence

from unichar.domains.base import Domain
from unichar.interactions.prompts import parse_reasoning, scene_prompt
from unichar.types import CuratedKit, Interaction, Prompt


def plain_prompts(items: Sequence[Interaction]) -> list[Prompt]:
    """The prompts of the plain text-to-image samples among `items`."""
    return _prompts(items, ("plain",))


def report_prompts(items: Sequence[Interaction], domain: Domain) -> list[Prompt]:
    """The prompts of a report: the plain ones, then those of the domain's other forms, open ones among
    them."""
    return plain_prompts(items) + _prompts(items, domain.report_forms)


def multimodal_turns(items: Sequence[Interaction]) -> list[Interaction]:
    """What think-then-draw starts from: instruction samples, which say what the picture must show.

    Without any (photographs), the turns that the kit has a picture of.
    """
    # Instruction samples have the form "request" (a word of the file format).
    turns = [item for item in items if item.kind == "thinking"]
    return [item for item in turns if item.form == "request"] or turns


def turn_prompt(kit: CuratedKit, item: Interaction) -> Prompt:
    """The prompt of a multimodal turn with its own reply and reasoning text.

    It is judged by its own picture if the kit has one, else by the attributes that the instruction names.
    """
    # Segments of a multimodal turn: card, user, reply, request for reasoning, reasoning text.
    _, user, reply, _, reasoning = (segment.value for segment in item.segments)
    thinking, instruction = parse_reasoning(reasoning)
    text = scene_prompt(
        name=kit.name,
        description=kit.description,
        user=user,
        reply=reply,
        thinking=thinking,
        instruction=instruction,
    )

    # Turns of the kit have a picture; instruction samples name the attributes of their scene instead.
    said = f"{reply} {instruction}"
    for picture in kit.pictures:
        if (picture.user, picture.reply) == (user, reply):
            return Prompt(text=text, attributes=picture.attributes, reference=picture.image, reply=said)
    return Prompt(text=text, attributes=item.attributes, reply=said)


def _prompts(items: Sequence[Interaction], forms: Sequence[str]) -> list[Prompt]:
    prompts = []
    for item in items:
        # "portrait" is the file format's word for a text-to-image sample.
        if item.kind != "portrait" or item.form not in forms:
            continue

        # Test samples for scenes without a picture end with the user's text.
        reference = item.target.value if item.segments[-1].loss else ""
        is_open = item.form == "open"
        prompts.append(
            Prompt(text=item.prompt, attributes=item.attributes, reference=reference, is_open=is_open)
        )
    return prompts
