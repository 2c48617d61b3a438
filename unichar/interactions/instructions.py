"""Requests: the user asks to see the character somewhere, it answers in its style and plans the picture (toon world only).

The ten moments of a kit are too few to learn planning from. Their number is not limited here: a request names a scene in one of
many wordings, the plan repeats it, so what is learned is to draw what was asked for. Scenes of the test occur in no training
request and in no picture.
"""

import random
from dataclasses import replace

from unichar.domains.lookup import domain_of
from unichar.interactions import prompts
from unichar.interactions.config import InteractionsConfig
from unichar.interactions.style_profile import StyleProfile, extract_style
from unichar.types import CuratedKit, Interaction, Segment, Split

_USERS = (
    "Send me a picture of you {scene}!",
    "Show me what you look like {scene}.",
    "Can I see you {scene}, please?",
    "I would love a photo of you {scene}.",
    "{name}, take a picture of yourself {scene}.",
    "How do you look {scene}? Show me!",
)


def requests(kit: CuratedKit, config: InteractionsConfig, rng: random.Random) -> list[Interaction]:
    """Two items a request, its reply and its plan; none for a character of photographs."""
    style = extract_style(kit)
    scenes = domain_of(kit).instruction_scenes(kit, rng)
    items: list[Interaction] = []
    # The range comes first, so that no scene is drawn beyond the last one.
    for index, scene in zip(
        range(config.num_requests + config.num_test_requests), scenes, strict=False
    ):
        split: Split = "train" if index < config.num_requests else "test"
        items += _request(kit, style, scene, index, rng, split=split)
    return items


def _request(
    kit: CuratedKit,
    style: StyleProfile,
    scene: tuple[str, dict[str, str]],
    index: int,
    rng: random.Random,
    *,
    split: Split,
) -> tuple[Interaction, Interaction]:
    phrases, attributes = scene
    card = prompts.character_card(name=kit.name, description=kit.description, opening=kit.opening)
    user = rng.choice(_USERS).format(scene=phrases, name=kit.name)
    thinking = f"The picture shall show {kit.name} {phrases}."
    reply = Segment(type="text", value=_reply(style, rng), role="assistant")
    asked = (Segment(type="text", value=card, role="system"), Segment(type="text", value=user, role="user"))
    answered = Interaction(
        id="",
        kind="role_play",
        form="request",
        split=split,
        group=f"request-{index:02d}",
        segments=(*asked, replace(reply, loss=True)),
        attributes=attributes,
    )
    plan = prompts.plan_text(thinking, f"{kit.name}, {phrases}.")
    more = (
        Segment(type="text", value=prompts.PLAN_REQUEST, role="user"),
        Segment(type="text", value=plan, role="assistant", loss=True),
    )
    return answered, replace(answered, kind="thinking", segments=(*asked, reply, *more))


def _reply(style: StyleProfile, rng: random.Random) -> str:
    """A few words in style that say yes to any picture."""
    said = [own for phrase in style.replies("portrait") if (own := style.restyle(phrase))]
    return style.decorate(rng.choice(said), rng) if said else style.yes + "."
