"""Phase 6 of the base: the connector learns to put pictures into the backbone's words; everything else stays frozen.

First it learns to *name* what it sees: its sixteen tokens are drawn toward the backbone's own word embeddings of a short
description ("teal cat, purple eyes, dotted pink shirt, ..."), which needs no pass through the backbone and is over in two
minutes. Then it learns to be *asked*: several questions about a toon in one conversation, cross-entropy on the one-word answers
flowing through the frozen backbone into the connector.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from unichar.domains.toon.captions import questions, visible
from unichar.model.nano.model import NanoModel
from unichar.model.nano.vision import NUM_TOKENS
from unichar.model.pixels import to_pixels
from unichar.model.tokens import TokenBatch, TokenSequence, collate, render
from unichar.pretrain.world import Toon, sample_toon
from unichar.training.loop import run_loop
from unichar.training.schedule import set_factor, trapezoid
from unichar.training.seeds import python_rng
from unichar.training.state import TrainState
from unichar.types import Segment


@dataclass(frozen=True, kw_only=True)
class ConnectorPhase:
    """Settings of the connector's training."""

    naming_steps: int = 700
    """Steps of learning to name, 32 pictures each."""
    steps: int = 240
    """Steps of being asked."""
    toons: int = 8
    """Pictures a step."""
    questions: int = 6
    """Questions a picture."""
    naming_lr: float = 2e-3
    lr: float = 5e-4
    seed: int = 0


def conversation(toon: Toon, asked: list[tuple[str, str, str]]) -> list[Segment]:
    """A picture, and one question after the other with its answer."""
    segments = [Segment(type="image", value="", role="user")]
    for _, question, answer in asked:
        segments.append(Segment(type="text", value=question, role="user"))
        segments.append(Segment(type="text", value=answer, role="assistant", loss=True))
    return segments


def sample_batch(model: NanoModel, config: ConnectorPhase, step: int) -> tuple[TokenBatch, Tensor]:
    """(tokens, pixels) of one step."""
    rng = python_rng(config.seed, "connector", step)
    toons = [sample_toon(rng, model.image_size) for _ in range(config.toons)]
    sequences: list[TokenSequence] = []
    for toon in toons:
        asked = questions(toon.identity, toon.scene, rng)
        rng.shuffle(asked)
        sequences.append(
            render(conversation(toon, asked[: config.questions]), model.tokenizer, image_tokens=NUM_TOKENS)
        )
    return collate(sequences, pad=model.tokenizer.pad_token_id), to_pixels([toon.image for toon in toons])


def description(toon: Toon) -> list[str]:
    """Sixteen words, one a token of the connector."""
    seen = visible(toon.identity, toon.scene)
    words = [
        seen["color"],
        seen["species"],
        seen.get("eyes", "closed"),
        "eyes",
        seen["pattern"],
        seen["outfit"],
        "shirt",
    ]
    words += [
        "wearing",
        seen["accessory"],
        seen["expression"],
        seen["pose"],
        "holding",
        seen["prop"],
        "at",
        seen["background"],
    ]
    return [*words, seen.get("skin", "fur")]


def run(model: NanoModel, config: ConnectorPhase, folder: Path, *, key: str) -> None:
    """Train (or go on training) the connector of `model` in place."""
    model.requires_grad_(False)
    connector = model.connector.requires_grad_(True)
    optimizer = torch.optim.AdamW(
        connector.parameters(), lr=config.naming_lr, betas=(0.9, 0.98), weight_decay=0.0
    )
    words = _WordEmbeddings(model)

    def name(index: int) -> Tensor:
        set_factor(optimizer, trapezoid(index, config.naming_steps, warmup=0.05, decay=0.5))
        rng = python_rng(config.seed, "naming", index)
        toons = [sample_toon(rng, model.image_size) for _ in range(32)]
        with torch.autocast("cpu", torch.bfloat16):
            tokens = connector(model.vision(to_pixels([toon.image for toon in toons])))
        target = torch.stack([words.of(description(toon)) for toon in toons])
        return (tokens.float() - target).square().mean() / words.variance

    def ask(index: int) -> Tensor:
        factor = config.lr / config.naming_lr * trapezoid(index, config.steps, warmup=0.1, decay=0.6)
        set_factor(optimizer, factor)
        return model.token_losses(*sample_batch(model, config, index)).mean()

    def step(index: int) -> dict[str, float]:
        naming = index < config.naming_steps
        loss = name(index) if naming else ask(index - config.naming_steps)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(connector.parameters(), 1.0)
        optimizer.step()
        return {"naming_loss" if naming else "loss": loss.item()}

    state = TrainState(folder / "state.safetensors", {"connector": connector}, {"adamw": optimizer}, key=key)
    run_loop("connector", step, total=config.naming_steps + config.steps, state=state)
    model.requires_grad_(False)


class _WordEmbeddings:
    """The backbone's embedding of a word in the middle of a sentence (mean over its tokens)."""

    def __init__(self, model: NanoModel) -> None:
        self._tokenizer = model.tokenizer
        self._table = model.word_embeddings()
        self._known: dict[str, Tensor] = {}
        self.variance = float(self._table.var())

    def of(self, words: list[str]) -> Tensor:
        """[number of words, backbone width]"""
        for word in words:
            if word not in self._known:
                ids = self._tokenizer(f" {word}", add_special_tokens=False)["input_ids"]
                self._known[word] = self._table[torch.tensor(ids)].mean(dim=0)
        return torch.stack([self._known[word] for word in words])
