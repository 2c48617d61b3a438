"""Measuring an arm's texts: likelihoods of held-out replies and answers, and the replies it writes itself."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from unichar.evaluation.config import EvaluationConfig
from unichar.evaluation.content import ThinkThenDraw
from unichar.evaluation.statistics import Estimate, estimate, evenly_spaced
from unichar.judges.llm_judge import LlmJudge
from unichar.judges.prompts import multimodal_turns
from unichar.judges.style import Style
from unichar.model.character import Character
from unichar.model.protocol import Turn, UnifiedModel
from unichar.types import Interaction, Segment

_BATCH = 16
"""Conversations a forward pass."""


@dataclass(frozen=True, kw_only=True)
class TextResults:
    """What one arm wrote, and its text metrics."""

    metrics: dict[str, Estimate]
    chats: dict[str, str]
    """Held-out user text -> reply."""
    role_plays: dict[str, ThinkThenDraw]
    """User text of a held-out multimodal turn -> reply, thinking, instruction; pictures come later."""


def measure_text(
    character: Character,
    test: Sequence[Interaction],
    folder: Path,
    *,
    style: Style | None,
    config: EvaluationConfig,
    llm_judge: LlmJudge | None = None,
) -> TextResults:
    """All text metrics and samples of one arm.

    Args:
        character: The arm's model in the role of the character.
        test: All test items.
        folder: Of the curated kit, which holds the pictures of visual questions.
        style: Classifier over the cast; without one, style is not measured.
        config: How many items, and how replies are sampled.
        llm_judge: Scores replies, where one is configured.
    """
    replies = [item for item in test if item.kind == "role_play"]
    facts = [item for item in test if item.kind == "knowledge_qa" and item.options]
    visual = [item for item in test if item.kind == "visual_qa" and item.options]

    # Likelihoods of given texts.
    model, most = character.model, config.text_items
    metrics = {"held_out_nll": held_out_nll(model, evenly_spaced(replies, most), folder)}
    for name, items in (("knowledge_accuracy", facts), ("vqa_accuracy", visual)):
        if items:
            metrics[name] = option_accuracy(model, evenly_spaced(items, most), folder)

    # Texts that the arm writes itself.
    chats = _write_chats(character, replies, config)
    role_plays = _write_role_plays(character, test, config)
    written = chats + [(user, turn.reply) for user, turn in role_plays.items()]

    # Both classifier and judge read what was written for the samples, so nothing is generated for them twice.
    if llm_judge:
        questions = [item.prompt for item in evenly_spaced(facts, most)]
        metrics |= llm_judge_scores(llm_judge, character, written, questions)
    if style:
        metrics["style"] = estimate([style.score(character.kit.id, reply) for _, reply in written])
    return TextResults(metrics=metrics, chats=dict(chats), role_plays=role_plays)


@torch.no_grad()
def held_out_nll(model: UnifiedModel, items: Sequence[Interaction], folder: Path) -> Estimate:
    """Negative log-likelihood of the reference replies, in nats per token: a mean over tokens."""
    losses = []
    for start in range(0, len(items), _BATCH):
        conversations = [item.segments for item in items[start : start + _BATCH]]
        losses += model.text_losses(conversations, folder)

    # `loss` holds one value per token: weighting each reply by its length makes the mean one over tokens.
    return estimate([float(loss.mean()) for loss in losses], weights=[len(loss) for loss in losses])


@torch.no_grad()
def option_accuracy(model: UnifiedModel, items: Sequence[Interaction], folder: Path) -> Estimate:
    """Share of four-option questions whose right option has the highest likelihood per token.

    Every option is scored in a conversation of its own, so their order plays no part.
    """
    hits = []
    for item in items:
        losses = model.text_losses([_with_answer(item.segments, option) for option in item.options], folder)
        right, *wrong = [float(loss.mean()) for loss in losses]

        # A tie is a miss: else a model that finds all options alike would score 1.
        hits.append(float(right < min(wrong)))
    return estimate(hits)


def llm_judge_scores(
    llm_judge: LlmJudge, character: Character, written: Sequence[tuple[str, str]], questions: Sequence[str]
) -> dict[str, Estimate]:
    """Memorization of free answers to `questions`, and personality of the `written` (user, reply), 1..7.

    A dimension for which the judge gave no readable score is left out.
    """
    # A kit may have no questions with options, and an empty batch cannot be generated.
    answers = []
    if questions:
        answers = character.replies([[Turn(role="user", text=question)] for question in questions])
    exchanges = {"memorization": list(zip(questions, answers, strict=True)), "personality": list(written)}

    metrics = {}
    for dimension, pairs in exchanges.items():
        scores = llm_judge.scores(dimension, pairs)
        if scores:
            metrics[dimension] = estimate(scores)
    return metrics


def history_of(item: Interaction) -> list[Turn]:
    """The conversation before the reply that carries the loss."""
    return [Turn(role=segment.role, text=segment.value) for segment in item.segments if not segment.loss]


def _write_chats(
    character: Character, items: Sequence[Interaction], config: EvaluationConfig
) -> list[tuple[str, str]]:
    """(user text, the arm's reply) for some of the held-out exchanges without pictures."""
    # Exchanges about pictures are left out: the page shows text only.
    text_only = [item for item in items if all(segment.type == "text" for segment in item.segments)]
    asked = evenly_spaced(text_only, config.chats)

    # Held-out exchanges bring their own system turn, so the model is asked without the character's.
    replies = character.model.reply(
        [history_of(item) for item in asked],
        max_tokens=config.max_reply_tokens,
        temperature=config.temperature,
        seed=0,
    )
    return [(item.prompt, reply) for item, reply in zip(asked, replies, strict=True)]


def _write_role_plays(
    character: Character, test: Sequence[Interaction], config: EvaluationConfig
) -> dict[str, ThinkThenDraw]:
    """User text -> the arm's reply, and what it thinks and instructs before drawing; no pictures yet."""
    # Segment 0 is the system's, segment 1 what the user says.
    turns = evenly_spaced(multimodal_turns(test), config.role_plays)
    users = [turn.segments[1].value for turn in turns]

    replies = character.replies([[Turn(role="user", text=user)] for user in users])
    reasonings = character.reasonings(list(zip(users, replies, strict=True)))

    role_plays = {}
    for user, reply, (thinking, instruction) in zip(users, replies, reasonings, strict=True):
        role_plays[user] = ThinkThenDraw(reply, thinking, instruction, picture=None)
    return role_plays


def _with_answer(segments: Sequence[Segment], answer: str) -> list[Segment]:
    return [replace(segment, value=answer) if segment.loss else segment for segment in segments]
