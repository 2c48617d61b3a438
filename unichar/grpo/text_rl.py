"""Reinforcement of replies, after that of the pictures; beyond the paper and off by default.

A round samples several replies to each of a few training questions, scores them (style, facts, length) and
takes one policy-gradient step on group-relative advantages. Replies are sampled anew in every round, so
likelihood ratios are 1 and nothing needs to be clipped. The SFT regularizer, the cross-entropy of SFT's own
replies to the same questions, is added to the loss. Only the text adapters change. Nano's pictures read their
prompts without them; BAGEL's follow them, so the trainer looks at the pictures again afterwards.
"""

import dataclasses
import logging
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unichar.grpo.advantages import group_advantages, groups_with_variance
from unichar.grpo.config import GrpoConfig
from unichar.grpo.policy import Snapshot
from unichar.grpo.validation import Validation
from unichar.judges.replies import Length, StyleReward, consistency
from unichar.model.protocol import Turn, UnifiedModel
from unichar.training.loop import run_loop
from unichar.training.seeds import derive, python_rng
from unichar.training.state import TrainState, run_key
from unichar.types import Interaction, Segment, StageJob, read_interactions

_LOG = logging.getLogger(__name__)

FOLDER = "text"
"""Subfolder of the scratch folder with the state and the curve of these rounds."""
_NUM_BASE_REPLIES = 24
"""Questions that the base model answers, as negatives of the style score."""


def reinforce_replies(
    model: UnifiedModel, job: StageJob, parameters: Sequence[Tensor], base_sha256: str
) -> None:
    """Run all rounds on the text adapters' `parameters`, with a state and a curve of their own.

    Every rank does the same work.
    """
    # They were frozen while pictures were reinforced.
    for parameter in parameters:
        parameter.requires_grad_(True)

    # After the pictures: a kill in here resumes here, since each has a state of its own.
    trainer = TextRlTrainer(model, job, parameters)
    run_loop(
        "grpo text",
        trainer.round,
        total=job.config.text.rounds,
        state=trainer.state(base_sha256),
        save_seconds=job.config.save_seconds,
        log_every=1,
    )


def check_pictures(model: UnifiedModel, validation: Validation, before: Snapshot) -> dict[str, float]:
    """What validation says of the pictures after the text adapters were reinforced.

    Where pictures follow them and have lost more identity than `validation.max_identity_drop`, the text
    adapters are those of `before` again: nothing has looked at pictures while replies were reinforced.

    Returns:
        `text_evaluator_likeness`, and whether the reinforced adapters are kept (`text_kept`, 0 or 1); nothing
        where pictures do not follow the text adapters.
    """
    if not model.pictures_follow_text:
        return {}

    likeness = validation.measure()["evaluator_likeness"]
    is_lost = validation.has_lost_identity(likeness)
    if is_lost:
        _LOG.warning("grpo text: the pictures lose the character, so the replies stay as SFT made them")
        before.restore()
    return {"text_evaluator_likeness": likeness, "text_kept": float(not is_lost)}


class TextRlTrainer:
    """Holds what every round needs; `round` is the whole algorithm."""

    def __init__(self, model: UnifiedModel, job: StageJob, parameters: Sequence[Tensor]) -> None:
        self.model, self.job, self.parameters = model, job, list(parameters)
        self.config: GrpoConfig = job.config

        train = read_interactions(job.inputs["interactions"] / "train.jsonl")
        self.items = [item for item in train if _is_answerable(item)]

        # Rewards are fitted to the character's own training replies, against the base's to the same
        # questions.
        own = [item.target.value for item in self.items if item.kind == "role_play"]
        self.length, self.style = Length(own), StyleReward(own, self._base_replies())

        learning_rate = self.config.text.lr
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=learning_rate, betas=(0.9, 0.99), weight_decay=0.0
        )

    def state(self, base_sha256: str) -> TrainState:
        """What a resumed run starts from; refuses another configuration, seed or base."""
        key = run_key(config=dataclasses.asdict(self.config), seed=self.job.seed, base_sha256=base_sha256)

        # A subfolder: the state of the pictures lies beside it under the same name.
        path = self.job.scratch / FOLDER / "state.safetensors"
        path.parent.mkdir(exist_ok=True)
        return TrainState(path, {"und": self.model.und}, {"adamw": self.optimizer}, key=key)

    def round(self, index: int) -> dict[str, float]:
        """Sample groups of replies, score them, take one optimizer step; returns numbers named `text_...`."""
        config, seed = self.config, self.job.seed

        # A stream of its own per round; a small kit may have fewer questions than are asked for.
        count = min(config.text.prompts, len(self.items))
        items = python_rng(seed, "words", index).sample(self.items, count)

        # Each call samples one reply to every question.
        by_number = [self._sample(items, derive(seed, "reply", index, g)) for g in range(config.text.group)]
        replies = [list(group) for group in zip(*by_number, strict=True)]  # P groups of G replies

        # P groups of G scores, a dict each; summed in fp64.
        scores = []
        for item, group in zip(items, replies, strict=True):
            scores.append([self._score(item, reply) for reply in group])
        rewards = torch.tensor([[sum(each.values()) for each in group] for group in scores])  # [P, G]

        use = groups_with_variance(rewards, min_spread=config.reward.min_spread)  # [P]

        # Means over all replies, term by term, for the curve.
        numbers = {}
        for name in scores[0][0]:
            numbers[f"text_{name}"] = _mean([each[name] for group in scores for each in group])
        numbers |= {"text_reward": rewards.mean().item(), "text_skipped": float((~use).sum())}

        # Skipped groups keep advantage 0, so that they add nothing but the SFT regularizer.
        if use.any():
            advantages = torch.zeros_like(rewards)
            advantages[use] = group_advantages(rewards[use], clip=config.reward.advantage_clip)
            numbers |= self._optimizer_step(items, replies, advantages)
        return numbers

    def _base_replies(self) -> list[str]:
        """Replies of the base model to some of the questions."""
        count = min(_NUM_BASE_REPLIES, len(self.items))
        items = python_rng(self.job.seed, "anybody").sample(self.items, count)

        # What anybody would say: without the text adapters, to questions of the character's own training.
        with self.model.base_text():
            return self._sample(items, derive(self.job.seed, "anybody"))

    def _sample(self, items: Sequence[Interaction], seed: int) -> list[str]:
        """One reply to each item's conversation."""
        config = self.config.text
        conversations = []
        for item in items:
            # Everything before the reply that is to be sampled.
            turns = [Turn(role=segment.role, text=segment.value) for segment in item.segments[:-1]]
            conversations.append(turns)

        return self.model.reply(
            conversations, max_tokens=config.max_tokens, temperature=config.temperature, seed=seed
        )

    def _score(self, item: Interaction, reply: str) -> dict[str, float]:
        """Terms of the reward, each in 0..1: style, facts (1 where none was asked for) and length."""
        facts = consistency(reply, item.target.value) if item.kind == "knowledge_qa" else 1.0
        return {"style": self.style.score(reply), "facts": facts, "length": self.length.score(reply)}

    def _optimizer_step(
        self, items: Sequence[Interaction], replies: list[list[str]], advantages: Tensor
    ) -> dict[str, float]:
        """One step on the policy term (advantage x cross-entropy of each reply) and the SFT regularizer.

        Args:
            items: P questions.
            replies: G sampled replies to each.
            advantages: [P, G]
        """
        # Sampled replies in the order of the flattened advantages, then SFT's own replies.
        sampled = []
        for item, group in zip(items, replies, strict=True):
            sampled += [_with_reply(item, reply) for reply in group]
        original = [item.segments for item in items]

        # One pass over both. A mean per reply, so that long replies do not weigh more.
        losses = self.model.text_losses([*sampled, *original], self.job.inputs["curated_kit"])
        means = torch.stack([loss.mean() for loss in losses])  # [P x G + P]

        # Minimizing advantage x cross-entropy makes good replies likelier and bad ones less likely.
        policy = (advantages.flatten() * means[: len(sampled)]).mean()
        regularizer = means[len(sampled) :].mean()

        (policy + self.config.text.regularizer_weight * regularizer).backward()
        nn.utils.clip_grad_norm_(self.parameters, self.config.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return {"text_policy": policy.item(), "text_reference_nll": regularizer.item()}


def _is_answerable(item: Interaction) -> bool:
    """Whether the item is plain text and ends with a free reply to train on."""
    is_text = all(segment.type == "text" for segment in item.segments)
    has_reply = item.segments[-1].loss and not item.options
    return is_text and has_reply and item.kind in ("role_play", "knowledge_qa")


def _with_reply(item: Interaction, reply: str) -> list[Segment]:
    """The item's conversation with another reply at its end, the only segment with a loss."""
    before = [dataclasses.replace(segment, loss=False) for segment in item.segments[:-1]]
    return [*before, dataclasses.replace(item.segments[-1], value=reply)]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
