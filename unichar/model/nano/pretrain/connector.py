"""Phase 5 of the base: the connector learns to put pictures into the backbone's words; everything else stays frozen.

A step shows a few toons and asks several questions about each in one conversation; cross-entropy on the one-word answers
flows through the frozen backbone into the connector.
"""

import copy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from unichar.learning.loop import run_loop
from unichar.learning.schedule import set_factor, trapezoid
from unichar.learning.seeds import python_rng
from unichar.learning.state import TrainState
from unichar.model.nano.model import NanoModel
from unichar.model.nano.pretrain.world import Toon, sample_toon
from unichar.model.nano.vision import NUM_TOKENS
from unichar.model.pixels import to_pixels
from unichar.model.tokens import TokenBatch, TokenSequence, collate, render
from unichar.records import Segment
from unichar.toons.words import questions


@dataclass(frozen=True, kw_only=True)
class ConnectorPhase:
    """Settings of the connector's training."""

    steps: int = 240
    toons: int = 8
    """Pictures a step."""
    questions: int = 6
    """Questions a picture."""
    lr: float = 2e-3
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
        sequences.append(render(conversation(toon, asked[: config.questions]), model.tokenizer, image_tokens=NUM_TOKENS))
    return collate(sequences, pad=model.tokenizer.pad_token_id), to_pixels([toon.image for toon in toons])


def run(model: NanoModel, config: ConnectorPhase, folder: Path, *, key: str) -> None:
    """Train (or go on training) the connector of `model` in place."""
    model.requires_grad_(False)
    connector = model.connector.requires_grad_(True)
    average = copy.deepcopy(connector)
    optimizer = torch.optim.AdamW(connector.parameters(), lr=config.lr, betas=(0.9, 0.98), weight_decay=0.0)

    def step(index: int) -> dict[str, float]:
        set_factor(optimizer, trapezoid(index, config.steps, warmup=0.05, decay=0.5))
        loss = model.token_losses(*sample_batch(model, config, index)).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(connector.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            for p, q in zip(average.parameters(), connector.parameters(), strict=True):
                p.lerp_(q, 0.05)
        return {"loss": loss.item()}

    state = TrainState(folder / "state.safetensors", {"connector": connector, "average": average}, {"adamw": optimizer}, key=key)
    run_loop("connector", step, total=config.steps, state=state)
    connector.load_state_dict(average.state_dict())
    model.requires_grad_(False)
