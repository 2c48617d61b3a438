"""Moments of conversation as picture prompts: what a user says, the character's reply, and its plan of the picture.

Practised and watched where `GrpoConfig.consistency_weight` is above 0. They are those of training: of toons the requests, whose
scenes no picture shows, of photographs the training pictures'.
"""

from collections.abc import Iterable, Sequence

from unichar.domains.base import Domain
from unichar.domains.lookup import domain_of
from unichar.judges.prompts import multimodal_turns, turn_prompt
from unichar.types import CuratedKit, Interaction, Prompt

_EVERY = 3


def training_turns(
    kit: CuratedKit, train: Sequence[Interaction], test: Sequence[Interaction]
) -> list[Prompt]:
    """The moments of training whose scene no test asks for."""
    domain = domain_of(kit)
    found = [turn_prompt(kit, item) for item in multimodal_turns(train)]
    return _without(found, {domain.scene_key(item.attributes) for item in test}, domain)


def apart(found: Sequence[Prompt], watched: Sequence[Prompt], domain: Domain) -> list[Prompt]:
    """Those of `found` that share neither scene nor picture with what is watched."""
    pictures = {prompt.reference for prompt in watched if prompt.reference}
    others = [prompt for prompt in found if prompt.reference not in pictures]
    return _without(others, {domain.scene_key(prompt.attributes) for prompt in watched}, domain)


def with_turns(prompts: Sequence[Prompt], found: Iterable[Prompt]) -> list[Prompt]:
    """`prompts` with a moment in the place of every third, as far as `found` goes."""
    following = iter(found)
    return [
        next(following, prompt) if place % _EVERY == _EVERY - 1 else prompt
        for place, prompt in enumerate(prompts)
    ]


def _without(
    found: Sequence[Prompt], scenes: set[frozenset[tuple[str, str]]], domain: Domain
) -> list[Prompt]:
    """What asks for none of these scenes; a photograph has none."""
    known = scenes - {frozenset()}  # a scene that is unknown is no scene two prompts can share
    return [prompt for prompt in found if domain.scene_key(prompt.attributes) not in known]
