"""Reinforcement of replies, beyond the paper: `GrpoConfig.text_rounds` rounds after those of the pictures; off by default.

A round asks the character a few things it was asked in SFT, several times each at a temperature, judges the replies (voice,
facts, length) and makes those likelier that are better than the others to the same question. Replies are fresh in every round,
so that likelihood ratios are one and nothing needs to be clipped. What it may not unlearn is held by the replies of SFT: their
cross-entropy is part of the loss. Only the text adapters change; pictures read their prompts without them.
"""

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unichar.grpo.advantages import group_advantages, groups_with_variance
from unichar.grpo.config import GrpoConfig
from unichar.judges.replies import Length, Voice, consistency
from unichar.model.protocol import Turn, UnifiedModel
from unichar.training.seeds import derive, python_rng
from unichar.training.state import TrainState, run_key
from unichar.types import Interaction, Segment, StageJob, read_interactions

_ANYBODY = 24
"""Questions the base model answers, so that the character's voice can be told from its own."""


class TextRlTrainer:
    """Holds what every round needs; `round` is the whole algorithm."""

    def __init__(self, model: UnifiedModel, job: StageJob, parameters: Sequence[Tensor]) -> None:
        self.model, self.job, self.parameters = model, job, list(parameters)
        self.config: GrpoConfig = job.config
        train = read_interactions(job.inputs["interactions"] / "train.jsonl")
        self.items = [item for item in train if _is_answerable(item)]
        own = [item.target.value for item in self.items if item.kind == "role_play"]
        self.length, self.voice = Length(own), Voice(own, self._anybody())
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=self.config.text.lr, betas=(0.9, 0.99), weight_decay=0.0
        )

    def _anybody(self) -> list[str]:
        """What the base model answers to some of the questions."""
        items = python_rng(self.job.seed, "anybody").sample(self.items, min(_ANYBODY, len(self.items)))
        with self.model.base_text():
            return self._write(items, derive(self.job.seed, "anybody"))

    def _write(self, items: Sequence[Interaction], seed: int) -> list[str]:
        config = self.config
        asked = [
            [Turn(role=segment.role, text=segment.value) for segment in item.segments[:-1]] for item in items
        ]
        return self.model.reply(
            asked, max_tokens=config.text.max_tokens, temperature=config.text.temperature, seed=seed
        )

    def state(self, base_sha256: str) -> TrainState:
        """What a resumed run starts from; refuses another configuration, seed or base."""
        key = run_key(config=dataclasses.asdict(self.config), seed=self.job.seed, base_sha256=base_sha256)
        path = self.job.scratch / "words" / "state.safetensors"
        path.parent.mkdir(exist_ok=True)
        return TrainState(path, {"und": self.model.und}, {"adamw": self.optimizer}, key=key)

    def round(self, index: int) -> dict[str, float]:
        """Ask, judge, learn."""
        config = self.config
        items = python_rng(self.job.seed, "words", index).sample(
            self.items, min(config.text.prompts, len(self.items))
        )
        groups = [
            self._write(items, derive(self.job.seed, "reply", index, g)) for g in range(config.text.group)
        ]
        replies = [list(group) for group in zip(*groups, strict=True)]
        parts = [
            [self._marks(item, reply) for reply in row] for item, row in zip(items, replies, strict=True)
        ]
        rewards = torch.tensor([[sum(marks.values()) for marks in row] for row in parts])
        use = groups_with_variance(rewards, min_spread=config.reward.min_spread)
        numbers = {
            f"text_{name}": _mean([marks[name] for row in parts for marks in row]) for name in parts[0][0]
        }
        numbers |= {"text_reward": rewards.mean().item(), "text_skipped": float((~use).sum())}
        if use.any():
            advantages = torch.zeros_like(rewards)
            advantages[use] = group_advantages(rewards[use], clip=config.reward.advantage_clip)
            numbers |= self._learn(items, replies, advantages)
        return numbers

    def _marks(self, item: Interaction, reply: str) -> dict[str, float]:
        """Voice and length of every reply; facts of an answer to a question about the character."""
        facts = consistency(reply, item.target.value) if item.kind == "knowledge_qa" else 1.0
        return {"voice": self.voice.score(reply), "facts": facts, "length": self.length.score(reply)}

    def _learn(
        self, items: Sequence[Interaction], replies: list[list[str]], advantages: Tensor
    ) -> dict[str, float]:
        """One optimizer step: A x cross-entropy of every reply, and the cross-entropy of what SFT learned."""
        said = [_answered(item, reply) for item, row in zip(items, replies, strict=True) for reply in row]
        kept = [item.segments for item in items]
        losses = self.model.text_losses([*said, *kept], self.job.inputs["curated_kit"])
        means = torch.stack([loss.mean() for loss in losses])
        policy, leash = (advantages.flatten() * means[: len(said)]).mean(), means[len(said) :].mean()
        (policy + self.config.text.regularizer_weight * leash).backward()
        nn.utils.clip_grad_norm_(self.parameters, self.config.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return {"text_policy": policy.item(), "text_reference_nll": leash.item()}


def _is_answerable(item: Interaction) -> bool:
    text = all(segment.type == "text" for segment in item.segments)
    return text and item.kind in ("role_play", "knowledge_qa") and item.segments[-1].loss and not item.options


def _answered(item: Interaction, reply: str) -> list[Segment]:
    """The item's conversation with another reply at its end, the only thing that carries a loss."""
    before = [dataclasses.replace(segment, loss=False) for segment in item.segments[:-1]]
    return [*before, dataclasses.replace(item.segments[-1], value=reply)]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
