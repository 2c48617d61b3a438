"""Text-to-image prompts of interactions, each with what its pictures are judged against."""

from collections.abc import Sequence

from unichar.domains.base import Domain
from unichar.interactions.prompts import parse_reasoning, scene_prompt
from unichar.types import CuratedKit, Interaction, Prompt


def plain_prompts(items: Sequence[Interaction]) -> list[Prompt]:
    """The plain portrait prompts of `items`."""
    return _prompts(items, ("plain",))


def report_prompts(items: Sequence[Interaction], domain: Domain) -> list[Prompt]:
    """The prompts of a report: the plain ones, then those of the domain's other forms, among them what leaves something open."""
    return plain_prompts(items) + _prompts(items, domain.report_forms)


def multimodal_turns(items: Sequence[Interaction]) -> list[Interaction]:
    """What chains of reply, plan and picture start from: requests, which say what the picture must show; without any, the moments
    of pictures."""
    plans = [item for item in items if item.kind == "thinking"]
    return [item for item in plans if item.form == "request"] or plans


def turn_prompt(kit: CuratedKit, item: Interaction) -> Prompt:
    """The prompt of one of the `multimodal_turns`, with its own reply and plan: judged by what was requested, or by its own picture."""
    _, user, reply, _, plan = (segment.value for segment in item.segments)
    thinking, instruction = parse_reasoning(plan)
    picture = next(
        (picture for picture in kit.pictures if (picture.user, picture.reply) == (user, reply)), None
    )
    return Prompt(
        text=scene_prompt(
            name=kit.name,
            description=kit.description,
            user=user,
            reply=reply,
            thinking=thinking,
            instruction=instruction,
        ),
        attributes=picture.attributes if picture else item.attributes,
        reference=picture.image if picture else "",
        reply=f"{reply} {instruction}",
    )


def _prompts(items: Sequence[Interaction], forms: Sequence[str]) -> list[Prompt]:
    portraits = [item for item in items if item.kind == "portrait" and item.form in forms]
    return [
        Prompt(
            text=item.prompt,
            attributes=item.attributes,
            reference=item.target.value if item.segments[-1].loss else "",
            is_open=item.form == "open",
        )
        for item in portraits
    ]
