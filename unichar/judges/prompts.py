"""A picture prompt with what its pictures are judged against."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from unichar.domains.toon.vocabulary import SCENE
from unichar.interactions.prompts import parse_plan, portrait_request
from unichar.types import CuratedKit, Interaction


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """Example: `Prompt(text="Mochi, sad, at the beach", attributes={"expression": "sad", "background": "beach", ...})`"""

    text: str
    attributes: dict[str, str] = field(default_factory=dict)
    """Toons: what the picture must show of a scene."""
    reference: str = ""
    """Photographs: the picture of the same scene, inside the curated kit."""
    reply: str = ""
    """Moments of conversation: what the character says, and what it plans to show with it."""

    @property
    def is_open(self) -> bool:
        """Whether it leaves something of the scene to the model, and no picture shows what."""
        return not self.reference and not all(name in self.attributes for name in SCENE)


def plain_prompts(items: Sequence[Interaction]) -> list[Prompt]:
    """The plain portrait prompts of `items`."""
    return _prompts(items, ("plain",))


def report_prompts(items: Sequence[Interaction]) -> list[Prompt]:
    """What a report draws: the plain prompts; of photographs, of which very few are held out, the same moments in their
    conversational forms; and what leaves something open."""
    plain = plain_prompts(items)
    is_toon = any(prompt.attributes for prompt in plain)
    return plain + _prompts(items, ("open",) if is_toon else ("scene", "scene_thinking", "open"))


def multimodal_turns(items: Sequence[Interaction]) -> list[Interaction]:
    """What chains of reply, plan and picture start from: requests, which say what the picture must show; without any, the moments
    of pictures."""
    plans = [item for item in items if item.kind == "thinking"]
    return [item for item in plans if item.form == "request"] or plans


def turn_prompt(kit: CuratedKit, item: Interaction) -> Prompt:
    """The prompt of one of the `multimodal_turns`, with its own reply and plan: judged by what was requested, or by its own picture."""
    _, user, reply, _, plan = (segment.value for segment in item.segments)
    thinking, instruction = parse_plan(plan)
    picture = next(
        (picture for picture in kit.pictures if (picture.user, picture.reply) == (user, reply)), None
    )
    return Prompt(
        text=portrait_request(
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
        )
        for item in portraits
    ]
