"""What an arm's words are worth: likelihoods of held-out replies and of the right option, and the replies it writes itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from unichar.evaluation.config import EvaluationConfig
from unichar.evaluation.content import ThinkThenDraw
from unichar.evaluation.statistics import Estimate, estimate
from unichar.judges.llm_judge import LlmJudge
from unichar.judges.prompts import multimodal_turns
from unichar.judges.style import Style
from unichar.model.character import Character
from unichar.model.protocol import Turn, UnifiedModel
from unichar.types import Interaction, Segment

_BATCH = 16


@dataclass(frozen=True, kw_only=True)
class TextResults:
    """Everything textual about one arm."""

    metrics: dict[str, Estimate]
    chats: dict[str, str]
    """Held-out user text -> reply."""
    chains: dict[str, ThinkThenDraw]
    """User text of a held-out moment -> reply, thinking and instruction; the picture comes later."""


def evenly(items: Sequence[Interaction], count: int) -> list[Interaction]:
    """`count` items spread over the whole list (all of them when there are fewer)."""
    if len(items) <= count:
        return list(items)
    return [items[i * len(items) // count] for i in range(count)]


@torch.no_grad()
def held_out_nll(model: UnifiedModel, items: Sequence[Interaction], folder: Path) -> Estimate:
    """Nats a token of the reference replies, weighted by their tokens."""
    losses = [
        loss
        for start in range(0, len(items), _BATCH)
        for loss in model.text_losses([item.segments for item in items[start : start + _BATCH]], folder)
    ]
    return estimate([float(loss.mean()) for loss in losses], weights=[len(loss) for loss in losses])


@torch.no_grad()
def option_accuracy(model: UnifiedModel, items: Sequence[Interaction], folder: Path) -> Estimate:
    """Share of four-option questions whose right option is the likeliest a token; position plays no part in it."""
    hits = []
    for item in items:
        losses = model.text_losses([_with_answer(item.segments, option) for option in item.options], folder)
        means = [float(loss.mean()) for loss in losses]
        hits.append(float(means[0] < min(means[1:])))
    return estimate(hits)


def _with_answer(segments: Sequence[Segment], answer: str) -> list[Segment]:
    return [replace(segment, value=answer) if segment.loss else segment for segment in segments]


def measure_text(
    actor: Character,
    test: Sequence[Interaction],
    folder: Path,
    *,
    style: Style | None,
    config: EvaluationConfig,
    llm_judge: LlmJudge | None = None,
) -> TextResults:
    """All text metrics and samples of one arm."""
    model = actor.model
    spoken = [item for item in test if item.kind == "role_play"]
    asked = [item for item in test if item.kind == "knowledge_qa" and item.options]
    seen = [item for item in test if item.kind == "visual_qa" and item.options]
    metrics = {"held_out_nll": held_out_nll(model, evenly(spoken, config.text_items), folder)}
    for name, items in (("knowledge_accuracy", asked), ("vqa_accuracy", seen)):
        if items:
            metrics[name] = option_accuracy(model, evenly(items, config.text_items), folder)
    chosen = evenly([item for item in spoken if _is_plain_text(item)], config.chats)
    replies = model.reply(
        [turns_of(item) for item in chosen],
        max_tokens=config.max_reply_tokens,
        temperature=config.temperature,
        seed=0,
    )
    users = [moment.segments[1].value for moment in evenly(multimodal_turns(test), config.role_plays)]
    chains = play(actor, users)
    if llm_judge:
        said = list(zip([item.prompt for item in chosen], replies, strict=True))
        said += [(user, chain.reply) for user, chain in chains.items()]
        metrics |= llm_judge_scores(
            llm_judge, actor, said, [item.prompt for item in evenly(asked, config.text_items)]
        )
    if style:
        metrics["style"] = estimate(
            [style.score(actor.kit.id, text) for text in [*replies, *(c.reply for c in chains.values())]]
        )
    return TextResults(
        metrics=metrics,
        chats={item.prompt: text for item, text in zip(chosen, replies, strict=True)},
        chains=chains,
    )


def llm_judge_scores(
    llm_judge: LlmJudge, actor: Character, said: Sequence[tuple[str, str]], questions: Sequence[str]
) -> dict[str, Estimate]:
    """Memorization of free answers to `questions` about the character, personality of what it `said`; a dimension without any
    mark that could be read is left out."""
    answers = (
        actor.replies([[Turn(role="user", text=question)] for question in questions]) if questions else []
    )
    exchanges = {"memorization": list(zip(questions, answers, strict=True)), "personality": list(said)}
    marks = {dimension: llm_judge.marks(dimension, pairs) for dimension, pairs in exchanges.items()}
    return {dimension: estimate(values) for dimension, values in marks.items() if values}


def play(actor: Character, users: Sequence[str]) -> dict[str, ThinkThenDraw]:
    """Reply to each user text, then plan a picture of the moment; the picture itself comes later."""
    replies = actor.replies([[Turn(role="user", text=user)] for user in users])
    exchanges = list(zip(users, replies, strict=True))
    plans = actor.plans(exchanges)
    return {
        user: ThinkThenDraw(reply, *plan, None) for (user, reply), plan in zip(exchanges, plans, strict=True)
    }


def turns_of(item: Interaction) -> list[Turn]:
    """The conversation before the reply that carries the loss."""
    return [Turn(role=segment.role, text=segment.value) for segment in item.segments if not segment.loss]


def _is_plain_text(item: Interaction) -> bool:
    return all(segment.type == "text" for segment in item.segments)


def style_of(cast: Mapping[str, Sequence[str]], who: str) -> Style | None:
    """The classifier over the cast; None when the character is alone in it."""
    return Style(cast) if len(cast) > 1 and who in cast else None
