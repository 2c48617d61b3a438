"""Phase 8 of the base: the connector learns to translate pictures into the backbone's embeddings; all else is
frozen.

First by regression: its sixteen tokens are drawn toward the backbone's own word embeddings of a short
description ("teal cat, purple eyes, dotted pink shirt, ..."), which needs no forward pass of the backbone and
takes two minutes. Then by visual question answering: several questions about a toon in one conversation, with
the cross-entropy of the one-word answers backpropagated through the frozen backbone.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unichar.domains.toon.captions import questions, visible
from unichar.model.nano.model import NanoModel
from unichar.model.nano.vision import NUM_TOKENS
from unichar.model.pixels import to_pixels
from unichar.model.tokens import TokenBatch, TokenSequence, collate, render
from unichar.pretrain.prefetch import Prefetched, workers_for
from unichar.pretrain.toons import Toon, sample_toon
from unichar.training.loop import run_loop
from unichar.training.schedule import set_factor, trapezoid
from unichar.training.seeds import python_rng
from unichar.training.state import TrainState
from unichar.types import Segment


@dataclass(frozen=True, kw_only=True)
class ConnectorPhase:
    """Settings of the connector's training."""

    naming_steps: int = 700
    """Steps of regression to word embeddings, 32 pictures each."""
    steps: int = 240
    """Steps of question answering."""
    toons: int = 8
    """Pictures per step of question answering."""
    questions: int = 6
    """Questions per picture."""
    naming_lr: float = 2e-3
    """Peak rate of the regression."""
    lr: float = 5e-4
    """Peak rate of question answering."""
    seed: int = 0


def conversation(toon: Toon, asked: list[tuple[str, str, str]]) -> list[Segment]:
    """A picture, then questions with their answers; `asked` holds (attribute, question, answer)."""
    segments = [Segment(type="image", value="", role="user")]
    for _, question, answer in asked:
        segments.append(Segment(type="text", value=question, role="user"))
        segments.append(Segment(type="text", value=answer, role="assistant", loss=True))
    return segments


def sample_naming(config: ConnectorPhase, step: int, size: int) -> list[Toon]:
    """The pictures of one step of regression."""
    rng = python_rng(config.seed, "naming", step)
    return [sample_toon(rng, size) for _ in range(32)]


def sample_questions(
    config: ConnectorPhase, step: int, size: int
) -> tuple[list[Toon], list[list[tuple[str, str, str]]]]:
    """(pictures, what is asked about each, as in `conversation`) of one step of question answering."""
    rng = python_rng(config.seed, "connector", step)
    toons = [sample_toon(rng, size) for _ in range(config.toons)]

    asked = []
    for toon in toons:
        about = questions(toon.identity, toon.scene, rng)
        rng.shuffle(about)
        asked.append(about[: config.questions])
    return toons, asked


def to_batch(
    model: NanoModel, toons: list[Toon], asked: list[list[tuple[str, str, str]]]
) -> tuple[TokenBatch, Tensor]:
    """(tokens, pixels) of `sample_questions`."""
    sequences: list[TokenSequence] = []
    for toon, about in zip(toons, asked, strict=True):
        sequences.append(render(conversation(toon, about), model.tokenizer, image_tokens=NUM_TOKENS))

    batch = collate(sequences, pad=model.tokenizer.pad_token_id)
    return batch, to_pixels([toon.image for toon in toons], model.device)


def description(toon: Toon) -> list[str]:
    """Sixteen words, one per token of the connector."""
    seen = visible(toon.identity, toon.scene)
    figure = [seen["color"], seen["species"], seen.get("eyes", "closed"), "eyes"]
    clothes = [seen["pattern"], seen["outfit"], "shirt", "wearing", seen["accessory"]]
    action = [seen["expression"], seen["pose"], "holding", seen["prop"], "at", seen["background"]]
    return [*figure, *clothes, *action, seen.get("skin", "fur")]


def run(model: NanoModel, config: ConnectorPhase, folder: Path, *, key: str) -> None:
    """Train the connector of `model` in place, resuming from `folder` if its state has this `key`."""
    model.requires_grad_(False)
    connector = model.connector.requires_grad_(True)
    optimizer = torch.optim.AdamW(
        connector.parameters(), lr=config.naming_lr, betas=(0.9, 0.98), weight_decay=0.0
    )
    embeddings = _WordEmbeddings(model)
    total = config.naming_steps + config.steps

    def draw(index: int) -> Any:
        if index < config.naming_steps:
            return sample_naming(config, index, model.image_size)
        return sample_questions(config, index - config.naming_steps, model.image_size)

    def regression_loss(index: int) -> Tensor:
        """Squared distance to the embeddings of the description, in units of their variance."""
        set_factor(optimizer, trapezoid(index, config.naming_steps, warmup=0.05, decay=0.5))
        toons = batches(index)
        pixels = to_pixels([toon.image for toon in toons], model.device)
        with torch.autocast(model.device.type, torch.bfloat16):
            tokens = connector(model.vision(pixels))  # [32, 16, width]

        target = torch.stack([embeddings.of(description(toon)) for toon in toons])  # [32, 16, width]
        return (tokens.float() - target.to(model.device)).square().mean() / embeddings.variance

    def answer_loss(index: int) -> Tensor:
        """Cross-entropy of answers; the factor is relative to the optimizer's rate, the regression's."""
        factor = config.lr / config.naming_lr * trapezoid(index, config.steps, warmup=0.1, decay=0.6)
        set_factor(optimizer, factor)
        return model.token_losses(*to_batch(model, *batches(config.naming_steps + index))).mean()

    def step(index: int) -> dict[str, float]:
        is_regression = index < config.naming_steps
        loss = regression_loss(index) if is_regression else answer_loss(index - config.naming_steps)

        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(connector.parameters(), 1.0)
        optimizer.step()
        return {"naming_loss" if is_regression else "loss": loss.item()}

    state = TrainState(folder / "state.safetensors", {"connector": connector}, {"adamw": optimizer}, key=key)
    with Prefetched(draw, total=total, workers=workers_for(model.device)) as batches:
        run_loop("connector", step, total=total, state=state)
    model.requires_grad_(False)


class _WordEmbeddings:
    """The backbone's embedding of a word within a sentence, the mean over its tokens."""

    def __init__(self, model: NanoModel) -> None:
        self._tokenizer = model.tokenizer
        self._table = model.word_embeddings()
        self._known: dict[str, Tensor] = {}
        self.variance = float(self._table.var())

    def of(self, words: list[str]) -> Tensor:
        """[number of words, backbone width]"""
        for word in words:
            if word not in self._known:
                # With a leading space, as words have within a sentence.
                ids = self._tokenizer(f" {word}", add_special_tokens=False)["input_ids"]
                self._known[word] = self._table[torch.tensor(ids)].mean(dim=0)
        return torch.stack([self._known[word] for word in words])
