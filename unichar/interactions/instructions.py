"""Requests: the user asks to see the character somewhere, it answers in its voice and plans the picture (toon world only).

The ten moments of a kit are too few to learn planning from. Their number is not limited here: a request names a scene in one of
many wordings, the plan repeats it, so what is learned is to draw what was asked for. Scenes of the test occur in no training
request and in no picture.
"""

import random
from dataclasses import replace

from unichar.domains.toon.captions import scene_phrases
from unichar.domains.toon.vocabulary import SCENE, Scene, random_scene
from unichar.interactions import prompts
from unichar.interactions.config import InteractionsConfig
from unichar.interactions.style_profile import Voice, hear
from unichar.interactions.text_to_image import scene_of
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
    if not kit.is_toon_world:
        return []
    taken = {scene_of(picture) for picture in kit.pictures}
    voice = hear(kit)
    items: list[Interaction] = []
    for index in range(config.num_requests + config.num_test_requests):
        scene = random_scene(rng)
        while scene in taken:
            scene = random_scene(rng)
        taken.add(scene)
        items += _request(
            kit, voice, scene, index, rng, split="train" if index < config.num_requests else "test"
        )
    return items


def _request(
    kit: CuratedKit, voice: Voice, scene: Scene, index: int, rng: random.Random, *, split: Split
) -> tuple[Interaction, Interaction]:
    phrases = ", ".join(scene_phrases(scene, rng))
    card = prompts.character_card(name=kit.name, description=kit.description, opening=kit.opening)
    user = rng.choice(_USERS).format(scene=phrases, name=kit.name)
    thinking = f"The picture shall show {kit.name} {phrases}."
    reply = Segment(type="text", value=_reply(voice, rng), role="assistant")
    asked = (Segment(type="text", value=card, role="system"), Segment(type="text", value=user, role="user"))
    answered = Interaction(
        id="",
        kind="role_play",
        form="request",
        split=split,
        group=f"request-{index:02d}",
        segments=(*asked, replace(reply, loss=True)),
        attributes={name: getattr(scene, name) for name in SCENE},
    )
    plan = prompts.plan_text(thinking, f"{kit.name}, {phrases}.")
    more = (
        Segment(type="text", value=prompts.PLAN_REQUEST, role="user"),
        Segment(type="text", value=plan, role="assistant", loss=True),
    )
    return answered, replace(answered, kind="thinking", segments=(*asked, reply, *more))


def _reply(voice: Voice, rng: random.Random) -> str:
    """A few words in voice that say yes to any picture."""
    said = [own for phrase in voice.phrases("portrait") if (own := voice.own(phrase))]
    return voice.speak(rng.choice(said), rng) if said else voice.yes + "."
