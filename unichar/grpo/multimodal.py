"""Multimodal turns as picture prompts: user message, the character's reply, and reasoning about the picture.

Used where `GrpoConfig.reward.consistency_weight` is above 0. The turns come from training: for toons the
instruction samples, whose scenes no picture shows, for photographs the turns of the training pictures.
"""

from collections.abc import Iterable, Sequence

from unichar.domains.base import Domain
from unichar.domains.lookup import domain_of
from unichar.judges.prompts import multimodal_turns, turn_prompt
from unichar.types import CuratedKit, Interaction, Prompt

_EVERY = 3
"""Every third prompt is a multimodal turn, so that most pictures are still drawn for plain prompts."""


def training_turns(
    kit: CuratedKit, train: Sequence[Interaction], test: Sequence[Interaction]
) -> list[Prompt]:
    """The multimodal turns of training whose scene no test item asks for."""
    domain = domain_of(kit)

    # Held-out scenes are the report's: a turn that shows one may not be trained on.
    turns = [turn_prompt(kit, item) for item in multimodal_turns(train)]
    return _without_scenes(turns, {domain.scene_key(item.attributes) for item in test}, domain)


def disjoint_turns(turns: Sequence[Prompt], validation: Sequence[Prompt], domain: Domain) -> list[Prompt]:
    """Those of `turns` that have neither scene nor reference picture in common with a validation prompt."""
    # By picture and by scene: photographs have references but may have no known scene.
    references = {prompt.reference for prompt in validation if prompt.reference}
    others = [turn for turn in turns if turn.reference not in references]
    return _without_scenes(others, {domain.scene_key(prompt.attributes) for prompt in validation}, domain)


def with_turns(prompts: Sequence[Prompt], turns: Iterable[Prompt]) -> list[Prompt]:
    """`prompts` with every third one replaced by the next of `turns`, until these run out."""
    # The next turn takes the position of a plain prompt, so the number of prompts stays.
    remaining = iter(turns)
    mixed = []
    for index, prompt in enumerate(prompts):
        is_turn = index % _EVERY == _EVERY - 1
        mixed.append(next(remaining, prompt) if is_turn else prompt)
    return mixed


def _without_scenes(
    turns: Sequence[Prompt], scenes: set[frozenset[tuple[str, str]]], domain: Domain
) -> list[Prompt]:
    """Those of `turns` with none of these scenes."""
    # Unknown scenes have an empty key, which says nothing about whether two prompts are alike.
    known = scenes - {frozenset()}
    return [turn for turn in turns if domain.scene_key(turn.attributes) not in known]
